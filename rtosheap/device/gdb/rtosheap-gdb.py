"""gdb's command ``rtosheap``: the FreeRTOS heap of a halted target, or of a core file.

In gdb: ``source FILE``, or start it by ``gdb -x FILE``; ``rtosheap gdb-script`` prints FILE.
It reads the target's memory and never writes; all else is done by the rtosheap that is installed,
in a process of its own, which asks for memory in lines of JSON. For Python 3.6 or newer.
"""

import json
import os
import shutil
import subprocess
import sys

import gdb

_FOLDER = os.path.dirname(os.path.abspath(__file__))  # gdb knows it while it reads the file
# What tells where a program was loaded: in every kernel, and in every heap that has such.
_LANDMARKS = ("pxCurrentTCB", "pxCurrentTCBs", "ucHeap", "xStart", "xHeap")
# Functions of heaps and C libraries: what they write into a header is theirs to write.
_HEAP = {
    "pvPortMalloc", "vPortFree", "pvPortCalloc", "vPortDefineHeapRegions", "malloc", "free",
    "calloc", "realloc", "_malloc_r", "_free_r", "_calloc_r", "_realloc_r",
}  # fmt: skip
# Values that are not an address, but lie at one.
_PLACES = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_FUNC)
_MISSING = """\
the program rtosheap was not found: it does the work, in the Python environment where you have
installed it, together with pyelftools. Start gdb where PATH has it, or say where it is:
  python import os; os.environ["RTOSHEAP"] = "/home/me/.venv/bin/rtosheap"
"""

# What was answered, and served: it is not asked again in a session.
_answers = {}


def _program():
    """How the user's own rtosheap is called: as the environment says, beside this file, on PATH."""
    named = os.environ.get("RTOSHEAP")
    if named:
        return [os.path.expanduser(named)]
    above = _FOLDER
    while os.path.dirname(above) != above:
        above = os.path.dirname(above)
        for path in ("bin/rtosheap", "Scripts/rtosheap.exe"):
            path = os.path.join(above, *path.split("/"))
            if os.path.isfile(path) and os.path.isfile(os.path.join(above, "pyvenv.cfg")):
                return [path]
    found = shutil.which("rtosheap")
    return None if found is None else [found]


def _environment():
    """The process's own, without what this gdb's Python needs for itself."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONHOME", "PYTHONPATH")
    }


def _files():
    """The programs that gdb knows, the main one first."""
    main = gdb.current_progspace().filename
    others = [one.filename for one in gdb.objfiles() if one.filename and one.is_valid()]
    return [main] * bool(main) + [one for one in others if one != main and os.path.isfile(one)]


def _landmarks():
    """Where gdb has some variables, which tells where it was loaded."""
    found = {}
    for name in _LANDMARKS:
        try:
            found[name] = int(gdb.parse_and_eval("(unsigned long long)&%s" % name))
        except (gdb.error, ValueError):
            pass
    return found


def _read(address, size):
    """The target's bytes, as an answer."""
    try:
        data = gdb.selected_inferior().read_memory(address, size)
    except (gdb.error, OverflowError) as error:  # what cannot be read is an answer, too
        return {"error": str(error)}
    return {"bytes": bytes(data).hex()}


def _asked(question):
    """What the user answers, or has answered; None where nobody does."""
    if question in _answers or not sys.stdin.isatty():
        return _answers.get(question)
    try:
        return input(question + " ").strip() or None
    except (EOFError, KeyboardInterrupt):
        return None


class _Watch(gdb.Breakpoint):
    """A watchpoint on a header: it stops for whoever writes there but the heap itself."""

    _touched = False

    def __init__(self, address, size):
        kinds = {4: "unsigned int", 8: "unsigned long long"}
        kind = "%s *" % kinds[size] if size in kinds else "unsigned long long (*)[2]"
        super(_Watch, self).__init__("*(%s) %#x" % (kind, address), gdb.BP_WATCHPOINT, gdb.WP_WRITE)

    def stop(self):
        frame = gdb.newest_frame()
        for _ in range(8):
            # What interrupted the heap is not the heap.
            if frame is None or frame.type() == gdb.SIGTRAMP_FRAME:
                break
            if frame.name() in _HEAP:
                self._touched = True
                return False
            frame = frame.older()
        if self._touched:
            gdb.write("The heap itself wrote here before: `rtosheap who' says if it is a header.\n")
        return True


def _check_halted():
    """An error where there is no memory to read, or it changes meanwhile."""
    threads = gdb.selected_inferior().threads()
    if any(thread.is_running() for thread in threads):
        raise gdb.GdbError("the target runs; halt it first")
    if not threads and "core dump" not in gdb.execute("info files", to_string=True):
        raise gdb.GdbError("no target: connect to one (target remote), or load a core")


def _converse(command, words):
    """Let rtosheap do a command: what it asks for is answered, what it finds is the result."""
    _check_halted()
    program = _program()
    if program is None:
        raise gdb.GdbError(_MISSING)
    try:
        process = subprocess.Popen(
            [*program, "gdb-script", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            universal_newlines=True,
        )
    except OSError as error:
        raise gdb.GdbError("%s cannot be run: %s\n%s" % (program[0], error.strerror, _MISSING))
    opening = {
        "protocol": 1,
        "command": command,
        "arguments": words,
        "files": _files(),
        "landmarks": _landmarks(),
    }
    try:
        return _answered(process, opening)
    except BaseException:
        process.kill()
        raise
    finally:
        for stream in (process.stdin, process.stdout):
            try:
                stream.close()
            except OSError:
                pass  # what it was not told any more, since it has ended
        process.wait()


def _answered(process, message):
    """Give a message and every answer, until the result is there."""
    answers = {}
    while True:
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended: what it said is still to be read, or nothing
        line = process.stdout.readline()
        if not line:
            raise gdb.GdbError("rtosheap ended without a result; what it said stands above")
        try:
            message = json.loads(line)
        except ValueError:
            raise gdb.GdbError("rtosheap said what is no JSON: %s" % line.strip()[:200])
        if "read" in message:
            message = _read(*message["read"])
        elif "ask" in message:
            question = message["ask"]
            answers[question] = _asked(question)
            message = {"answer": answers[question]}
        else:
            if "error" not in message:  # an answer that led to one may be wrong
                _answers.update(answers)
            return message


def _show(message):
    """Print a result; an error ends the command as gdb's own errors do."""
    if "error" in message:
        raise gdb.GdbError(message["error"])
    text = message.get("text", "")
    if text:
        gdb.write(text + "\n")
    if "watch" in message:
        _Watch(*message["watch"])


class _Command(gdb.Command):
    """One of the commands, with its first line of help as its purpose."""

    def __init__(self, name, help_text, takes_address=False, prefix=False):
        self.__doc__ = help_text
        self._name = name
        self._takes_address = takes_address
        full = "rtosheap " + name if name else "rtosheap"
        if prefix:
            super(_Command, self).__init__(full, gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)
        else:
            super(_Command, self).__init__(full, gdb.COMMAND_DATA, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        words = [os.path.expanduser(word) for word in gdb.string_to_argv(argument)]
        if not self._name and words and not words[0].startswith("-"):
            raise gdb.GdbError("there is no command rtosheap %s; see help rtosheap" % words[0])
        if self._takes_address and words and not words[0].startswith("-"):
            words[0] = hex(self._address(words[0]))
        _show(_converse(self._name or "state", words))

    def _address(self, text):
        try:
            value = gdb.parse_and_eval(text)
            if value.type.strip_typedefs().code in _PLACES:
                value = value.address
            number = int(value)
        except (gdb.error, TypeError) as error:
            raise gdb.GdbError("ADDRESS is %r: %s" % (text, error))
        # Registers are signed numbers of a word.
        return number if number >= 0 else number + (1 << 8 * value.type.sizeof)


_OPTIONS = """
Options, as for `rtosheap inspect --help' in a shell: --heap heap_4, --arena ADDRESS:SIZE,
--region ADDRESS:SIZE, --kernel V10.5.1, --elf FILE, --trace FILE, --json, ..."""

_Command("", """The FreeRTOS heap of the target: its state in short, and whether it is sound.
""" + _OPTIONS, prefix=True)  # fmt: skip
_Command("blocks", """Every block of the heap, with the task or the variable that it belongs to.
""" + _OPTIONS)  # fmt: skip
_Command("free", """The free blocks of the heap, and the largest request that would succeed.
""" + _OPTIONS)  # fmt: skip
_Command("check", """What of the heap is damaged, and which block is suspected of it.
""" + _OPTIONS)  # fmt: skip
_Command("map", """Draw the heap's map into a file: rtosheap map -o map.png
""" + _OPTIONS)  # fmt: skip
_Command("dump", """Write what the heap consists of into an ELF core file: rtosheap dump FILE
`rtosheap inspect FILE --elf FIRMWARE' reads it where there is no target.
""" + _OPTIONS)  # fmt: skip
_Command("who", """Which block, task and variable an address belongs to: rtosheap who ADDRESS
ADDRESS is an expression of gdb's, with blanks in quotes: 0x20000400, app_queue, $r0.
""" + _OPTIONS, takes_address=True)  # fmt: skip
_Command("watch", """Stop when the header after a block is written over: rtosheap watch ADDRESS
ADDRESS lies in the block, an expression of gdb's, with blanks in quotes. What malloc and free
themselves write there does not stop the target.
""" + _OPTIONS, takes_address=True)  # fmt: skip
