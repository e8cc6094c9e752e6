from skorch.tests.test_net import *  # noqa: F403
