"""llama.cpp's own server over a model file, until its standard input ends.

    VENV/bin/python llama_server.py MODEL.gguf NAME KEY SLOTS SLOT_TOKENS      needs xllamacpp

Prints its base URL when it answers."""

import sys

import xllamacpp


def main(model, name, key, slots, slot_tokens):
    how = xllamacpp.CommonParams()
    how.model.path = model
    how.model_alias = {name}
    how.api_keys = [key]
    how.hostnames = ["127.0.0.1"]
    how.port = 0
    how.n_parallel = int(slots)
    how.n_ctx = int(slots) * int(slot_tokens)
    how.kv_unified = False
    how.endpoint_metrics = True
    how.warmup = False
    how.verbosity = 0
    # More threads spin while they wait for each other, which a busy machine pays for.
    how.cpuparams.n_threads = how.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(how)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
