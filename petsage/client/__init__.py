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
    fact        what one ping found             tally       counts of them
    present     who answers now                 outcome     all that a run has found
    options     what the user may say           output      where the report goes
    cli         the command line                wiring      options as client, sink and stream

The functions `ping.ping`, `refusals.refuse`, `smoke_test.smoke_test` and `rollout.rollout` return
plain data.
"""
