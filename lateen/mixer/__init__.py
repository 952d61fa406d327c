"""Mixer: policy and telemetry by rules over one vocabulary of attributes; pure.

Here live the vocabulary (`attributes`, `manifests`), the types of expressions (`typing`), the rules that a set of
configuration adds up to (`rules`), what they make of a request (`interpreter`, `check`, `report`), and what of it Envoy
can do alone (`compile`). Adapters, sockets and clocks never live here: `ports` says what is needed of them. Main types:
`RuleSet`, `Attributes`, `Verdict`, `Observation`.
"""
