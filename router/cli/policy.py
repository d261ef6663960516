"""`gatehouse policy`: check a policy file before it is switched on, and what helps to write one."""

from __future__ import annotations

import typer

from router.cli.approve_text import approve_text
from router.cli.hash_value import hash_value
from router.cli.policy_change import activate, apply, approve, propose, rollback
from router.cli.policy_changes import diff, simulate_command
from router.cli.policy_differences import differences
from router.cli.policy_fmt import fmt
from router.cli.policy_history import history, show
from router.cli.policy_probe import probe
from router.cli.policy_validate import validate

policy = typer.Typer(help="Check policy files, and write the parts of them that need a machine.", no_args_is_help=True)


policy.command("approve-text")(approve_text)
policy.command("hash")(hash_value)
policy.command("diff")(diff)
policy.command("fmt")(fmt)
policy.command("probe")(probe)
for _change in (apply, rollback, propose, approve, activate):
    policy.command(_change.__name__)(_change)
policy.command("differences")(differences)
policy.command("history")(history)
policy.command("show")(show)
policy.command("simulate")(simulate_command)
policy.command("validate")(validate)
