"""The HTTP interfaces of models, each as a way to read a request and to write an answer."""
