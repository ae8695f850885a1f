"""The command line: the same services as the pages, as the operator of the machine (lead rights)."""

from __future__ import annotations

import os
import signal
import sys

import typer
from typer.exceptions import TyperException

from core.errors import TiebreakError
from ui.commands import (
    bases,
    exporting,
    families,
    forgetting,
    models,
    operation,
    posts,
    predicting,
    reporting,
    training,
)
from ui.commands.console import fail

STOPPED = 130  # what Typer returns after Ctrl-C

app = typer.Typer(
    name="tiebreak",
    help="Active-learning annotation for forum moderation: people break the ties that the model cannot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(operation.serve)
app.command("import")(posts.import_files)
app.command("status")(posts.status)
app.command("queue")(posts.queue)
app.command("decide")(posts.decide)
app.command("families")(families.list_families)
app.command("audit")(operation.show_audit_log)
app.command("forget")(forgetting.forget_for_good)
app.command("retrain")(training.retrain)
app.command("train")(training.train)
app.command("score")(models.score)
app.command("predict")(predicting.predict)
app.command("pretrain")(training.pretrain)

models_app = typer.Typer(help="Model versions: list, promote, take in.", no_args_is_help=True)
models_app.command("list")(models.list_models)
models_app.command("promote")(models.promote_model)
models_app.command("import")(models.import_model)
app.add_typer(models_app, name="models")

export_app = typer.Typer(help="Tables, models and examples for other programs and machines.", no_args_is_help=True)
export_app.command("decisions")(exporting.export_decisions)
export_app.command("gold")(exporting.export_gold)
export_app.command("predictions")(exporting.export_predictions)
export_app.command("families")(exporting.export_families)
export_app.command("agreement")(exporting.export_agreement)
export_app.command("audit")(exporting.export_audit_log)
export_app.command("model")(exporting.export_one_model)
export_app.command("snapshot")(exporting.export_one_snapshot)
app.add_typer(export_app, name="export")

report_app = typer.Typer(help="Reports as HTML files.", no_args_is_help=True)
report_app.command("version")(reporting.report_version)
report_app.command("week")(reporting.report_week)
app.add_typer(report_app, name="report")

base_app = typer.Typer(help="Base encoders: list, pull from a hub.", no_args_is_help=True)
base_app.command("list")(bases.list_base_encoders)
base_app.command("pull")(bases.pull_base_encoder)
app.add_typer(base_app, name="base")

runs_app = typer.Typer(help="Imports, trainings and scorings: list, look at one, cancel.", no_args_is_help=True)
runs_app.command("list")(operation.list_all_runs)
runs_app.command("show")(operation.show_one_run)
runs_app.command("cancel")(operation.cancel_one_run)
runs_app.command("take-back")(operation.take_back_import)
app.add_typer(runs_app, name="runs")

users_app = typer.Typer(help="People: invite, list, change roles, disable, set a password.", no_args_is_help=True)
users_app.command("invite")(operation.invite_user)
users_app.command("list")(operation.list_all_users)
users_app.command("role")(operation.change_role_of_user)
users_app.command("disable")(operation.disable_one_user)
users_app.command("password")(operation.set_user_password)
users_app.command("sessions")(operation.list_sessions_of_user)
users_app.command("sign-out")(operation.sign_user_out)
app.add_typer(users_app, name="users")

db_app = typer.Typer(help="The database: migrate, back up, restore.", no_args_is_help=True)
db_app.command("migrate")(operation.migrate_database)
db_app.command("backup")(operation.backup_database)
db_app.command("restore")(operation.restore_database)
app.add_typer(db_app, name="db")


def main() -> None:
    """Entry point: an error that a person can mend is one line, exit code 1; wrong use is 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing half made stays behind
    try:
        code = app(standalone_mode=False)  # on its own Typer draws a box of several lines around each error
    except TiebreakError as err:
        fail(str(err))
    except TyperException as err:
        said = " ".join(err.format_message().split())  # nothing where the help has been printed instead
        fail(f"{said.removesuffix('.')}. --help tells how.", code=err.exit_code) if said else sys.exit(err.exit_code)
    except typer.Abort:
        fail("stopped.")
    except BrokenPipeError:  # whoever read the output has had enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as err:
        if err.filename is None:
            raise
        fail(f"{err.filename}: {err.strerror}.")
    if code == STOPPED:
        fail("stopped.")
    sys.exit(code)


if __name__ == "__main__":
    main()
