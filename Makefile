# make serve   set up what is missing, build, serve on http://127.0.0.1:3000
# make test    set up, check the format, lint, all tests
# make build   target/release/virboard (or under CARGO_TARGET_DIR), to run from this folder
# make bench   measure, beside PyTorch and ONNX Runtime where there are any
# make cuda    check that the program compiles with CUDA
# make gpu-bundle  build for GPUs and collect what a machine with one needs to check it
# make miniature train and measure the miniature's encoders anew, in data/miniature, and compare them with what ships

TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: serve build test lint unit browser miniature bench cuda gpu-bundle

serve: build
	$(TARGET)/release/virboard serve --data-dir data

build:
	scripts/setup.sh
	scripts/build.sh

test:
	scripts/setup.sh --tests
	$(MAKE) lint
	scripts/build.sh
	$(MAKE) unit
	$(MAKE) browser

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	node --test scripts/structure/structure.test.mjs scripts/readme.test.mjs
	node scripts/check-structure.mjs
	scripts/check-licences.sh

unit:
	cargo test --release --workspace --locked

browser:
	cd end2end && node_modules/.bin/playwright test

miniature: build
	for step in pretrain evaluate compare; do $(TARGET)/release/virboard miniature $$step --data-dir data/miniature || exit 1; done

bench:
	scripts/bench.sh

cuda:
	scripts/cuda.sh

gpu-bundle:
	scripts/gpu_bundle.sh
