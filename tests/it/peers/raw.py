"""Messages that paramiko would not send by itself, for peers that break the protocol."""

from paramiko.message import Message


def message(kind, *fields):
    made = Message()
    made.add_byte(bytes([kind]))
    for field in fields:
        if isinstance(field, bool):
            made.add_boolean(field)
        elif isinstance(field, int):
            made.add_int(field)
        else:
            made.add_string(field)
    return made


class Everything(dict):
    """Channels, all of them seen: what is said about strange ones must not end paramiko."""

    def __contains__(self, number):
        return True
