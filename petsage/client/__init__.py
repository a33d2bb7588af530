"""The client half: facts about a deployed service, and a verdict on them. It imports no Flask."""
