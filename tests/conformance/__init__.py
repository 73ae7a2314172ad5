"""The normative statements of MQTT 3.1.1 and 5.0, and a test for each that binds a server.

A file of tests for each chapter of the specification. Every test runs over real sockets against a broker in
this process, says one sentence, and names what it proves by `@pytest.mark.clause("5.0:MQTT-3.1.0-1")`.
`python -m tests.conformance.report` tells which statements have a test and which have none.
"""
