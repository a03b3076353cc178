"""Loads a running server with distinct photographs and says how fast it answers.

python scripts/bench_server.py URL FOLDER ENCODER TASKS CONNECTIONS SECONDS
needs nothing but Python. FOLDER holds JPEGs; each request gets one with a comment of its own,
so that no answer comes from the cache.
"""

import http.client
import itertools
import json
import os
import sys
import threading
import time
import urllib.parse

url, folder, encoder, tasks, connections, seconds = sys.argv[1:7]
address = urllib.parse.urlsplit(url)
photos = [open(os.path.join(folder, n), "rb").read() for n in sorted(os.listdir(folder)) if n.endswith(".jpg")]
count = itertools.count(int(time.time() * 1000) % 10**9 * 1000)
answers, lock = [], threading.Lock()
end = time.perf_counter() + float(seconds)


def body(number):
    comment = b"%020d" % number
    photo = photos[number % len(photos)]
    photo = photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[2:]
    parts = [(b'name="image"; filename="a.jpg"', photo), (b'name="encoder"', encoder.encode())]
    parts += [(b'name="task"', tasks.encode())] if tasks != "-" else []
    text = b"".join(b"--x\r\nContent-Disposition: form-data; " + n + b"\r\n\r\n" + v + b"\r\n" for n, v in parts)
    return text + b"--x--\r\n"


def client():
    connection = http.client.HTTPConnection(address.hostname, address.port)
    while time.perf_counter() < end:
        data = body(next(count))
        start = time.perf_counter()
        try:
            connection.request("POST", "/api/v1/predictions", data, {"Content-Type": "multipart/form-data; boundary=x"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            with lock:
                answers.append((0, time.perf_counter() - start, None, None))
            connection.close()
            time.sleep(0.05)
            continue
        took = time.perf_counter() - start
        with lock:
            answers.append((response.status, took, response.getheader("Retry-After"), response.getheader("Server-Timing")))
            if response.status not in (200, 503) and len(answers) < 5:
                print(response.status, text[:300], file=sys.stderr)
        if response.status == 503:
            time.sleep(0.05)


threads = [threading.Thread(target=client) for _ in range(int(connections))]
start = time.perf_counter()
for t in threads:
    t.start()
for t in threads:
    t.join()
took = time.perf_counter() - start
good = sorted(t for s, t, *_ in answers if s == 200)
refused = [a for a in answers if a[0] == 503]
at = lambda share: round(1000 * good[min(len(good) - 1, int(share * len(good)))], 1) if good else None
print(json.dumps({
    "connections": int(connections),
    "answers_per_second": round(len(good) / took, 1),
    "p50_ms": at(0.5),
    "p99_ms": at(0.99),
    "refused": len(refused),
    "refused_with_retry_after": sum(a[2] is not None for a in refused),
    "cut_off": sum(a[0] == 0 for a in answers),
    "others": sum(a[0] not in (0, 200, 503) for a in answers),
    "timing": next((a[3] for a in reversed(answers) if a[3]), None),
}))
