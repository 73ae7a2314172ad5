"""What other people's tests get: the broker in the test process, and all that it can be made to do wrong."""
