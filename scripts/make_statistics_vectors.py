"""Writes app/core/tests/statistics.json: inputs and scipy's answers, which Virboard's statistics
must give to 1e-9. Run once: python scripts/make_statistics_vectors.py (needs numpy, scipy)."""

import json
import os

import numpy
import scipy
from scipy import stats

rng = numpy.random.default_rng(20)
cases = {"scipy": scipy.__version__, "correlation": [], "line": [], "groups": [], "sign": [], "density": [], "quantile": []}
for n in (3, 4, 7, 20, 33):
    for noise in (0.1, 1.0, 5.0):
        x = rng.normal(size=n)
        y = 0.5 * x + noise * rng.normal(size=n)
        if n > 4:
            x, y = numpy.round(x, 1), numpy.round(y, 1)  # with ties
        pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
        line = stats.linregress(x, y)
        # The half width of the mean's 95 % band at x = 0.3.
        residual = y - line.intercept - line.slope * x
        s = numpy.sqrt((residual**2).sum() / (n - 2))
        sxx = ((x - x.mean()) ** 2).sum()
        half = stats.t.ppf(0.975, n - 2) * s * numpy.sqrt(1 / n + (0.3 - x.mean()) ** 2 / sxx)
        cases["correlation"].append(
            {"x": x.tolist(), "y": y.tolist(), "pearson": list(pearson), "spearman": list(spearman)}
        )
        cases["line"].append(
            {"x": x.tolist(), "y": y.tolist(), "slope": line.slope, "intercept": line.intercept, "p": line.pvalue,
             "stderr": line.stderr, "half": half}
        )
for shift in (0.0, 0.5, 2.0):
    for sizes in ((3, 4), (6, 6, 6), (12, 5, 8, 3)):
        groups = [numpy.round(rng.normal(size=n) + shift * i, 1) for i, n in enumerate(sizes)]
        anova, kruskal = stats.f_oneway(*groups), stats.kruskal(*groups)
        cases["groups"].append(
            {"groups": [g.tolist() for g in groups], "anova": list(anova), "kruskal": list(kruskal)}
        )
for k, n in ((0, 1), (5, 10), (15, 19), (3, 20), (20, 20), (49, 60)):
    cases["sign"].append(
        {"wins": k, "losses": n - k, "two_sided": stats.binomtest(k, n).pvalue,
         "greater": stats.binomtest(k, n, alternative="greater").pvalue}
    )
for n in (4, 15, 60):
    x = rng.normal(size=n)
    at = numpy.linspace(-2, 2, 7)
    cases["density"].append({"x": x.tolist(), "at": at.tolist(), "density": stats.gaussian_kde(x)(at).tolist()})
    cases["quantile"].append({"x": x.tolist(), "q": [0.0, 0.025, 0.3, 0.5, 0.975, 1.0],
                              "values": numpy.quantile(x, [0.0, 0.025, 0.3, 0.5, 0.975, 1.0]).tolist()})
# All orders of few pairs, as a test of |r|: scipy's own two-sided probability is twice the smaller tail's.
cases["orders"] = []
for n, noise in ((4, 0.5), (6, 1.0), (8, 0.3), (8, 2.0)):
    x = numpy.round(rng.normal(size=n), 1)
    y = numpy.round(x + noise * rng.normal(size=n), 1)

    def strength(order, y=y):
        return abs(stats.pearsonr(order, y).statistic) + 0.0

    test = stats.permutation_test((x,), strength, permutation_type="pairings", n_resamples=numpy.inf, alternative="greater")
    cases["orders"].append({"x": x.tolist(), "y": y.tolist(), "p": test.pvalue})
path = os.path.join(os.path.dirname(__file__), "..", "app", "core", "tests", "statistics.json")
with open(path, "w") as file:
    json.dump(cases, file, indent=0)
    file.write("\n")
