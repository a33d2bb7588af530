"""The command `petsage`. It pings a deployed service and judges what responds; it loads no Flask.

cli             the group of commands, its exit codes, errors
options         the options that both commands have: URL, network, any service
report_options  --format, --output, --quiet
smoke_test_cli  rollout_cli     one command each: its options, its checks, its run

smoke_test      rollout         the loops; network and clock come in as arguments
deploy          the command that a rollout runs
log_tail        the far end of the log pipeline
signals         SIGINT, SIGTERM and SIGHUP
clock           monotonic and Unix time
progress        terminal        plain lines, or a live view where stderr is a terminal

target          addresses       proxy       where a request goes
http_client     response                    one request on a fresh connection
probe           release_probe               one ping: PetSage's own, and any service's
bad_requests    the fixed invalid requests

result          run             what a ping has found; what was asked of a run and what it has seen
verdict         history         the streak and the exit codes; what follows from all results
explain         run_warnings    wording     one headline and one next step; the warnings
reports         text, JSON, JUnit, Markdown, HTML
"""
