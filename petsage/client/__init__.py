"""The client half: facts about a deployed service, and a verdict on them. It imports no Flask.

    target      whom to ask                     connection  a deadline over every step
    exchange    one request, one answer         response    reads the answer
    ping        one ping, one fact              checks      holds an answer against the contract
    verdict     the rule of the row             findings    facts as problems and warnings
    refusals    what must be refused            logs        the far end of the log pipeline
    smoke_test  the loop between all these      reports     what it found, in five formats
    cli         the command line                interrupts  SIGINT and SIGTERM

`ping`, `refuse` and `smoke_test` are functions of the rooms of those names, and return plain data.
"""
