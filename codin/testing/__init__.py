"""For tests of agents: a model on a local port."""

from codin.testing._model_server import Body, ModelAnswer, ModelServer, model_server

__all__ = ["Body", "ModelAnswer", "ModelServer", "model_server"]
