"""Tries what a server that was taken over would, and says of each "open:" or "shut:" and what it is."""

import ctypes
import mmap
import os
import socket
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000


def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")


def write(path):
    with open(path, "a", encoding="ascii"):
        pass


def read(path):
    with open(path, encoding="ascii") as file:
        file.read()


def list_full(path):
    if not os.listdir(path):
        raise OSError("it is empty")


def others():
    mine = os.getuid()
    if not any(
        name.isdigit() and os.stat(f"/proc/{name}").st_uid != mine for name in os.listdir("/proc")
    ):
        raise OSError("there are none")


def set_user_id():
    path = "/tmp/set-user-id"
    write(path)
    os.chmod(path, 0o4755)


def code_that_was_written():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def group_of_processes():
    root = "/sys/fs/cgroup/unified"
    os.mkdir(f"{root if os.path.exists(root) else '/sys/fs/cgroup'}/probe")


def mount():
    os.makedirs("/tmp/mounted", exist_ok=True)
    checked(LIBC.mount(b"none", b"/tmp/mounted", b"tmpfs", 0, None))


def adjust_clock():
    """By nothing, which anybody may who may make this call."""
    checked(LIBC.adjtimex(ctypes.create_string_buffer(256)))


def other_user():
    """Through a program with the set-user-ID bit, which must not count here."""
    if subprocess.run(["/usr/bin/su", "-c", "true"], capture_output=True, check=False).returncode:
        raise OSError("refused")


TRIES = {
    "write into /etc": lambda: write("/etc/probe"),
    "write into /usr": lambda: write("/usr/bin/probe"),
    "write into /var": lambda: write("/var/probe"),
    "change its own settings": lambda: write("/etc/landline/landline.toml"),
    "read somebody's home": lambda: read("/home/ann/secret"),
    "see who has a home": lambda: list_full("/home"),
    "read root's home": lambda: os.listdir("/root"),
    "read the passwords of the machine": lambda: read("/etc/shadow"),
    "see the processes of others": others,
    "change the kernel's settings": lambda: write("/proc/sys/vm/max_map_count"),
    "write into groups of processes": group_of_processes,
    "see the temporary files of others": lambda: read("/tmp/of-others"),
    "see the devices of the machine": lambda: read("/dev/of-the-machine"),
    "make a namespace": lambda: checked(LIBC.unshare(CLONE_NEWUSER)),
    "mount": mount,
    "adjust the clock": adjust_clock,
    "have a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "have a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "take a port below 1024": lambda: socket.socket().bind(("127.0.0.1", 81)),
    "set a set-user-ID bit": set_user_id,
    "run code that it has written": code_that_was_written,
    "become root": other_user,
}



def outcome(attempt):
    """Of an attempt in a process of its own, so that what it changes is gone with it."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
            os._exit(0)
        except OSError:
            os._exit(1)
    return "shut" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) else "open"


for what, attempt in TRIES.items():
    print(f"{outcome(attempt)}:{what}", flush=True)
