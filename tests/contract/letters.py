"""Prints every letter of a mailbox as JSON, as Python's own reader of mail understands it.

    python3 tests/contract/letters.py <folder>
"""

import email
import email.policy
import hashlib
import json
import pathlib
import sys


def letter(path):
    read = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    files = [
        {
            "name": part.get_filename(),
            "media": part.get_content_type(),
            "sha256": hashlib.sha256(part.get_content()).hexdigest(),
        }
        for part in read.iter_attachments()
    ]
    return {
        "envelope_to": read["X-RcptTo"],
        "envelope_from": read["X-MailFrom"],
        "from": [[one.display_name, one.addr_spec] for one in read["From"].addresses],
        "to": [one.addr_spec for one in read["To"].addresses],
        "subject": read["Subject"],
        "id": read["Message-ID"],
        "date": read["Date"].datetime.isoformat(),
        "text": read.get_body(("plain",)).get_content(),
        "files": files,
        "defects": [repr(defect) for part in read.walk() for defect in part.defects],
    }


box = pathlib.Path(sys.argv[1]) / "new"
print(json.dumps([letter(path) for path in sorted(box.iterdir())]))
