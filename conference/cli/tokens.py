"""`diemcau token`: sign an access token (mã truy cập) with the coordinator's key."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import AsJson
from conference.cli.output import print_json
from conference.cli.refusal import fail


class RoleName(StrEnum):
    """Who a token is for; halls and publishers get theirs from the coordinator's API."""

    ORGANISER = "organiser"
    TECHNICIAN = "technician"
    OPERATOR = "operator"
    RELAY = "relay"


def token(
    role: Annotated[RoleName, typer.Option(help="organiser (ban tổ chức), technician, operator (trực), relay.")],
    state_dir: Annotated[
        Path, typer.Option(help="State directory of the coordinator, on whose machine this command runs.")
    ] = Path("var/coordinator"),
    subject: Annotated[
        str, typer.Option(help="Who holds it; for a relay, its relay_id. The role's name unless given.")
    ] = "",
    unit: Annotated[
        str, typer.Option(help="Unit (đơn vị) that the holder is bound to, with all under it; for staff alone.")
    ] = "",
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How long it is good for.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="File to write it to, readable by you only (else: stdout).")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Sign an access token (mã truy cập); needs the key in the coordinator's state directory, not the network.

    Example: diemcau token --role technician --subject nguyen-van-an --unit 01 --out ha-noi.token
    """
    if unit and role is RoleName.RELAY:
        raise typer.BadParameter("a relay is bound to no unit", param_hint="--unit")
    import time  # noqa: PLC0415 - `--help` does not need it

    from conference.access import ApiClaims, KeyRing  # noqa: PLC0415 - cryptography is slow to import
    from conference.config import KEY_FILE  # noqa: PLC0415 - the same
    from conference.secret_file import write_secret  # noqa: PLC0415 - the same

    key_file = state_dir / KEY_FILE
    if not key_file.is_file():
        fail(f"there is no signing key at {key_file}; give the coordinator's state directory with --state-dir")
    expires = int(time.time() + days * 86_400)
    claims = ApiClaims(sub=subject or role.value, role=role.value, exp=expires, unit=unit)
    signed = KeyRing.load_or_create(key_file).issue_api_token(claims)
    if out is not None:
        write_secret(out, signed)
    if as_json:
        where = {"token_file": str(out)} if out is not None else {"token": signed}
        print_json({**where, "role": role.value, "sub": claims.sub, "unit": unit, "expires_at_ms": expires * 1000})
    elif out is not None:
        typer.echo(f"Đã ghi mã truy cập (token written): {out}")
    else:
        typer.echo(signed)
