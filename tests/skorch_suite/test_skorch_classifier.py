from skorch.tests.test_classifier import TestNeuralNet

__all__ = ["TestNeuralNet"]
