"""`plab list`: every lab of the account by its tags, whoever made it."""

from __future__ import annotations

from privatelink_lab.commands import Options
from privatelink_lab.commands.run_command import new_screen
from privatelink_lab.commands.tagged_labs import find_labs, print_labs
from privatelink_lab.prices import LIST_PRICES


def list_labs(options: Options, *, all_regions: bool) -> int:
    """Show the labs; see `plab list --help`."""
    screen = new_screen(options)
    found = find_labs(options, screen, all_regions=all_regions)
    if options.json:
        unread = {what: str(error) for what, error in found.unread.items()}
        screen.data({"labs": [seen.as_json() for seen in found.labs], "unread": unread})
        return int(bool(unread))
    screen.show_errors(found.unread)
    if not found.labs:
        screen.out("There is no lab: nothing here bears a lab's tag." if not found.unread else "plab can see no lab.")
        return int(bool(found.unread))
    print_labs(screen, found.labs, all_regions=all_regions)
    here = "The local AWS costs nothing; this is what AWS would cost" if found.labs[0].session.server else "USD"
    screen.out(f"{here} at {LIST_PRICES}, without data.")
    where = " --all-regions" if all_regions else ""
    if expired := [seen.lab.config.lab for seen in found.labs if seen.has_expired]:
        screen.out(f"Expired: {', '.join(expired)}. To delete what has expired: plab reap{where}")
    return int(bool(found.unread))
