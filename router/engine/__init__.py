"""The embedded SLM server: a process of its own, the only importer of `llama_cpp`; it shares nothing but the wire."""
