"""The client half: facts about a deployed service, and a verdict on them. It imports no Flask.

    target      whom to ask                     connection  a deadline over every step
    exchange    one request, one answer         response    reads the answer
    ping        one ping, one fact              checks      holds an answer against the contract
    verdict     the rule of the row             findings    facts as problems and warnings
    refusals    what must be refused            logs        the far end of the log pipeline
    smoke_test  the loop between all these      reports     what it found, in five formats
    open_loop   pings at a fixed rate           crew        a thread for each in flight
    rollout     the loop around the open loop   record      what happened when
    deploy      the command inside              interrupts  SIGINT, SIGTERM and SIGHUP
    cli         the command line                wiring      options as client, sink and stream

`ping`, `refuse`, `smoke_test` and `rollout` are functions of the rooms of those names, and return
plain data.
"""
