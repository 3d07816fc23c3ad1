"""Where the recorder puts its syncs, what stands in them, and what a reader knows by them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import recorder_reference as wire
from recorder_device import BASE, build
from trace_files import load
from trace_strategies import triples

from rtosheap import Trace, TraceError
from rtosheap.traces import Loss


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    return build("", tmp_path_factory.mktemp("sync"))


def kinds(data):
    return "".join(record.kind for record in wire.records(data))


def syncs(data):
    return [record for record in wire.records(data) if record.kind == "s"]


def mallocs(device, count, *, first=0, step=1, task=None):
    """So many mallocs of 8 bytes, 64 bytes apart, and the time `step` apart."""
    for i in range(first, first + count):
        device.event("m", BASE + 64 * i, 8, tick=step * i, task=task)


def pieces(data):
    """The records' bytes, one by one."""
    at, out = 0, []
    for record in wire.records(data):
        out.append((record, data[at : at + record.length]))
        at += record.length
    assert at == len(data)
    return out


def without(data, *events):
    """The stream without these events' records."""
    count, out = 0, []
    for record, raw in pieces(data):
        is_event = record.kind in "mfrx"
        if not (is_event and count in events):
            out.append(raw)
        count += is_event
    return b"".join(out)


# ---------------------------------------------------------------------- what the device writes


def test_a_sync_stands_before_every_64th_event(device):
    device.start()
    mallocs(device, 200)
    assert kinds(device.bytes()) == ("s" + "m" * 64) * 3 + "s" + "m" * 8
    assert [record.size for record in syncs(device.bytes())] == [0, 64, 128, 192]
    assert [record.number for record in syncs(device.bytes())] == [0, 0, 0, 0]
    assert [record.tick for record in syncs(device.bytes())] == [0, 64, 128, 192]


@pytest.mark.parametrize("every", [1, 7, 63, 64])
def test_syncs_may_stand_closer(every, tmp_path):
    device = build(f"-DRHR_SYNC_EVENTS={every}", tmp_path)
    device.start()
    mallocs(device, 130)
    found = syncs(device.bytes())
    assert [record.size for record in found] == list(range(0, 130, every))
    assert [record.number for record in found] == [n % 64 for n in range(0, 130, every)]
    assert load(device.bytes()).loss == Loss()


@pytest.mark.parametrize("every", [0, 65])
def test_syncs_that_stand_too_far_apart_do_not_compile(every, tmp_path):
    with pytest.raises(AssertionError, match="RHR_SYNC_EVENTS must be from 1 to 64"):
        build(f"-DRHR_SYNC_EVENTS={every}", tmp_path)


def test_what_a_sync_says(device):
    base = 0x1234_5678_9ABC_DEF0
    device.start(base=base, meaning=3, overhead=25)
    device.event("m", base + 8, 100, tick=0xFEDC_BA98)
    (sync,) = syncs(device.bytes())
    assert (sync.size, sync.tick, sync.address) == (0, 0xFEDC_BA98, base)
    assert sync.old.to_bytes(4, "little") == bytes([3, 8, 25, 3])  # shift, word, header, meaning
    raw = device.bytes()[:28]
    assert (raw[0], raw[1], raw[4:8]) == (3, 0, b"RHE1")
    assert raw[8:].hex() == "0000000098badcfef0debc9a7856341203081903"
    assert (sync.length, len(raw)) == (28, 28)
    found = load(device.bytes())
    assert found.meta["base_address"] == hex(base)
    assert found.meta["sizes"].endswith("and what was too small to split off")
    assert found.size.tolist() == [75]


def test_after_each_sync_the_next_tasks_name(device):
    """Then a ring that was overwritten has them all after as many syncs as there are tasks."""
    device.start()
    for i in range(64 * 6):
        device.event("m", BASE + 64 * i, 8, task="abc"[min(i // 70, 2)])
    named = [record for record in wire.records(device.bytes()) if record.kind in "sn"]
    said = "".join("s" if record.kind == "s" else record.name for record in named)
    # a, then b and c, are also named when they are first seen
    assert said == "sa" + "sa" + "b" + "sb" + "c" + "sc" + "sa" + "sb"
    assert [record.task for record in named if record.kind == "n"] == [1, 1, 2, 2, 3, 3, 1, 2]


def test_without_tasks_no_name(device):
    device.start()
    mallocs(device, 130)
    assert "n" not in kinds(device.bytes())


@pytest.mark.parametrize(("pause", "ticks"), [(15, 0), (16, 1), (17, 1)])
def test_the_time_is_told_where_16_ticks_went_by(device, pause, ticks):
    """Of a sync, of an event, and of a tick."""
    device.start()
    for i in range(3):
        device.event("m", BASE + 64 * i, 8, tick=1000 + pause * i)
    assert kinds(device.bytes()).count("t") == 2 * ticks
    assert load(device.bytes()).time.tolist() == [1000 + pause * i for i in range(3)]


def test_a_sync_tells_the_time_of_its_event(device):
    device.start()
    mallocs(device, 64)
    device.event("m", BASE + 64 * 64, 8, tick=5000)
    assert kinds(device.bytes()).endswith("msm")  # no tick of its own
    assert load(device.bytes()).time.tolist()[-2:] == [63, 5000]


def test_a_recording_that_is_started_again_begins_anew(device):
    device.start()
    mallocs(device, 70, task="a")
    device.start(base=BASE + 0x1000)
    device.event("m", BASE + 0x1008, 8, tick=3)
    assert kinds(device.bytes()) == "sm"
    (sync,) = syncs(device.bytes())
    assert (sync.size, sync.tick, sync.address) == (0, 3, BASE + 0x1000)


# ---------------------------------------------------------------------- what a reader makes of it


@pytest.mark.parametrize("lost", [1, 63, 64, 65, 128, 150])
def test_only_a_sync_tells_of_a_loss_of_64(device, lost):
    """Numbers are known modulo 64: a gap is told at once, and the rest at the next sync."""
    device.start()
    mallocs(device, 300)
    cut = without(device.bytes(), *range(10, 10 + lost))
    gone = b"".join(raw for record, raw in pieces(cut) if record.kind != "s" or record.size == 0)
    assert load(cut).loss == Loss(lost_events=lost)
    assert load(gone).loss == Loss(lost_events=lost % 64)


def test_a_loss_across_a_sync(device):
    device.start()
    mallocs(device, 200)
    records = pieces(device.bytes())
    raw = b"".join(raw for _, raw in records[:60] + records[90:])  # with the sync at 64
    assert records[65][0].kind == "s"
    assert load(raw).loss == Loss(lost_events=29)


@pytest.mark.parametrize("first", [1, 5, 63, 64, 65, 100, 128, 130])
def test_a_stream_that_begins_late(device, first):
    """What is before its first sync has its number and its time backwards from there."""
    device.start()
    mallocs(device, 200, step=3)
    at, events, data = 0, 0, device.bytes()
    for record in wire.records(data):
        if events == first and record.kind != "s":
            break
        at += record.length
        events += record.kind in "mfrx"
    found = load(data[at:])
    assert len(found) == 200 - first
    assert found.loss == Loss(lost_events=first)
    assert found.recorded_address.tolist() == [BASE + 64 * i for i in range(first, 200)]
    assert found.time.tolist() == [3 * i for i in range(first, 200)]


def test_a_device_that_starts_anew_has_lost_what_it_had(device):
    device.start()
    mallocs(device, 100)
    first = device.bytes()
    device.start()
    for i in range(140):
        device.event("m", BASE + 64 * i, 8, tick=7 + i)
    second = device.bytes()
    found = load(first + second)
    assert len(found) == 240
    assert found.loss == Loss()  # no implied frees: what was live is gone
    assert found.id.tolist() == list(range(240))
    # its clock goes on where the recording was
    assert found.time.tolist() == [*range(100), *range(99, 99 + 140)]
    device.event("m", BASE + 64 * 140, 8, tick=5000)  # a tick of its own
    device.event("m", BASE, 5000, tick=7000)  # a long record
    mallocs(device, 64, first=142, step=200)  # with a sync
    later = load(first + device.bytes())
    assert later.loss == Loss(implied_frees=1)
    ticks = [*range(7, 147), 5000, 7000, 7000, *(200 * i for i in range(142, 206))]
    assert later.time.tolist() == [*range(100), *(tick + 92 for tick in ticks)]
    cut = pieces(second)
    rest = b"".join(raw for _, raw in cut[65:])  # from its second sync on, which says 64
    assert cut[65][0].size == 64
    anew = load(first + rest)
    assert anew.loss == Loss(lost_events=64)
    assert len(anew) == 100 + 140 - 64
    assert anew.time.tolist() == [*range(100), *range(99, 99 + 76)]


def test_a_start_whose_events_are_lost_has_its_time(device):
    device.start()
    device.event("m", BASE + 8, 8, tick=1000)
    sync = device.bytes()[:28]
    mallocs(device, 64, first=1, step=20)
    assert syncs(device.bytes())[1].tick == 20 * 64
    late = pieces(device.bytes())[-2][1]  # the second sync, alone
    device.start()
    device.event("m", BASE + 8, 8, tick=7)
    device.event("m", BASE + 72, 8, tick=9)
    found = load(sync + late + device.bytes())
    assert found.time.tolist() == [1280, 1282]
    assert found.loss == Loss(lost_events=64)


def test_a_failure_of_no_size_tells_none(device):
    device.start(meaning=2, overhead=8)
    device.event("m", 0, 0)
    found = load(device.bytes())
    assert found.loss == Loss(failed=1)
    assert "largest_failed_request" not in found.meta
    device.event("m", 0, 48)
    found = load(device.bytes())
    assert found.loss == Loss(failed=2, rounded_sizes=1)
    assert found.meta["largest_failed_request"] == "40"


def test_a_sync_of_the_number_that_is_expected_is_no_new_start(device):
    device.start()
    mallocs(device, 64)
    before = device.bytes()
    mallocs(device, 10, first=64)
    whole = device.bytes()
    twice = before + whole[len(before) : len(before) + 28] + whole[len(before) :]
    found = load(twice)  # the second sync says the same as the first
    assert found.loss == Loss()
    assert found.time.tolist() == list(range(74))


def test_what_a_sync_says_holds_from_there_on(device):
    device.start(base=BASE, meaning=2, overhead=8)
    device.event("m", BASE + 8, 112)
    first = device.bytes()
    device.start(base=BASE + 0x8000, meaning=0)
    device.event("m", BASE + 0x8008, 112)
    found = load(first + device.bytes())
    assert triples(found) == [("m", 0, 104), ("m", 1, 112)]
    assert found.recorded_address.tolist() == [BASE + 8, BASE + 0x8008]
    assert found.loss == Loss(rounded_sizes=1)


@pytest.mark.parametrize("shift", [0, 3, 5])
def test_addresses_are_shifted_as_the_sync_says(shift, tmp_path):
    device = build(f"-DRHR_SHIFT={shift}", tmp_path)
    device.start()
    device.event("m", BASE + 96, 8)
    device.event("m", BASE + 4, 8)
    found = load(device.bytes())
    assert found.recorded_address.tolist() == [BASE + 96, BASE + 4]
    short = [record.short for record in wire.records(device.bytes()) if record.kind == "m"]
    assert short == [True, shift == 0]


def test_the_clock_may_wrap_between_syncs(device):
    device.start()
    ticks = [2**32 - 3 + i for i in range(70)]
    for i, tick in enumerate(ticks):
        device.event("m", BASE + 64 * i, 8, tick=tick % 2**32)
    assert load(device.bytes()).time.tolist() == ticks
    late = load(device.bytes()[28:])  # only the second sync, after the wrap
    assert late.time.tolist() == [tick - 2**32 for tick in ticks]


def test_a_damaged_sync_is_not_believed(device):
    device.start()
    mallocs(device, 200)
    data = bytearray(device.bytes())
    at = data.index(b"RHE1", 40) + 4  # the number in the second
    data[at] ^= 0xFF
    found = load(bytes(data))
    assert found.loss == Loss(damaged_bytes=28)
    assert len(found) == 200


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_syncs_and_nothing_else(device, count):
    device.start()
    device.event("m", BASE + 8, 8)
    sync = device.bytes()[:28]
    found = load(sync * count, format="recorder")
    assert (len(found), found.loss) == (0, Loss())
    with pytest.raises(TraceError, match="no whole sync"):
        load(sync[:-1] * count, format="recorder")
    with pytest.raises(TraceError, match="no whole sync"):
        load(b"RHE1" * count, format="recorder")


def test_a_stream_is_told_by_a_sync_anywhere_in_its_head(device):
    device.start()
    mallocs(device, 70)
    data = device.bytes()
    assert wire.sniff(data)
    assert wire.sniff(b"xRHE1" * 9 + data)
    assert wire.sniff(data[28:])  # by the second
    assert not wire.sniff(data[28:500])
    assert not wire.sniff(data[4:40])  # a mark without its record's first bytes
    assert len(Trace.load(io.BytesIO(b"\0" * 5 + data))) == 70


def test_times_never_decrease_whatever_is_lost(device):
    device.start()
    mallocs(device, 500, step=11)
    data = device.bytes()
    for start in range(0, 2000, 97):
        found = load(data[:start] + data[start + 700 :])
        assert (np.diff(found.time) >= 0).all()
        assert found.loss.lost_events + len(found) == 500


# ---------------------------------------------------------------------- records, one by one


def record(kind, number, detail, *words, bytes_=None):
    """A record's bytes, of words of 4 bytes, cut to a length."""
    raw = bytearray(b"".join(word.to_bytes(4, "little") for word in (0, *words))[:bytes_])
    raw[0], raw[1] = kind | number << 2, detail
    raw[2:4] = wire.check(bytes(raw)).to_bytes(2, "little")
    return bytes(raw)


def test_records_of_a_32_bit_device():
    tick, task = 0x8765_4321, 0x0102_0304
    cases = {
        record(0, 9, 0x5A, 0xABC1_2345): wire.Record(
            "m", 9, 8, task=10, tick=5, short=True, size=0xABC, address=0x1_2345
        ),
        record(1, 63, 0x5A, 0x1_2345, bytes_=7): wire.Record(
            "f", 63, 7, task=10, tick=5, short=True, address=0x1_2345
        ),
        record(2, 1, 0, task, tick, 5000, 0x2000_0008): wire.Record(
            "m", 1, 20, task, tick, size=5000, address=0x2000_0008
        ),
        record(2, 1, 1, task, tick, 0, 0x2000_0008): wire.Record(
            "f", 1, 20, task, tick, address=0x2000_0008
        ),
        record(2, 1, 2, task, tick, 5000, 0x2000_0008, 0x2000_0010): wire.Record(
            "r", 1, 24, task, tick, size=5000, address=0x2000_0008, old=0x2000_0010
        ),
        record(2, 1, 3, task, tick, 5000, 0): wire.Record("x", 1, 20, task, tick, size=5000),
        record(2, 1, 8, task, tick, 5000, 1, 8, 2): wire.Record(
            "m", 1, 28, task, tick, size=5000 + 2**32, address=8 + 2**33
        ),
        record(3, 4, 1, tick): wire.Record("t", 4, 8, tick=tick),
        record(3, 4, 2 | 5 << 2, 0x6C656807, 0x6F6C): wire.Record("n", 4, 12, task=7, name="hello"),
        record(3, 4, 2 | 3 << 2, 0x65656807): wire.Record("n", 4, 8, task=7, name="hee"),
        record(3, 4, 3, 0x800_1234): wire.Record("c", 4, 8, address=0x800_1234),
        record(3, 4, 3 | 8, 0x800_1234, 1): wire.Record("c", 4, 12, address=0x1_0800_1234),
        record(3, 0, 0, 0x31454852, 64, tick, 0x2000_0400, 0, 0x0308_0403): wire.Record(
            "s", 0, 28, tick=tick, size=64, address=0x2000_0400, old=0x0308_0403
        ),
    }
    for raw, right in cases.items():
        for after in (b"", b"\xff"):
            assert wire.record_at(b"?" + raw + after, 1) == right
        assert wire.record_at(raw[:-1], 0) is None
    assert len(cases) == 13


@pytest.mark.parametrize(
    "raw",
    [
        record(3, 0, 0, 0x31454853, 64, 0, 0, 0, 0x0308_0403),  # no mark
        record(3, 0, 4, 0x31454852, 64, 0, 0, 0, 0x0308_0403),
        record(3, 4, 5, 1),  # a tick has no details
        record(3, 4, 7, 1),  # nor has a caller but its width
        *(record(2, 1, 1 << bit, *[0] * 8)[:60] for bit in (2, 4, 5, 6, 7)),
    ],
    ids=range(9),
)
def test_details_that_no_record_has(raw):
    assert wire.record_at(raw, 0) is None


def test_a_free_and_its_task(device):
    device.start()
    device.event("m", BASE + 64, 8, tick=20, task="a")
    device.event("f", BASE + 64, tick=29, task="b")
    found = load(device.bytes())
    assert found.time.tolist() == [20, 29]
    assert found.task.tolist() == ["a", "b"]


def test_a_free_of_a_far_address_has_no_size(device):
    device.start()
    device.event("m", BASE + (1 << 30), 8)
    device.event("f", BASE + (1 << 30))
    found = [(one.kind, one.address, one.size) for one in wire.records(device.bytes())]
    assert found[1:] == [("m", BASE + (1 << 30), 8), ("f", BASE + (1 << 30), 0)]


def test_a_realloc_of_nothing_is_recorded_as_a_malloc(device):
    streams = []
    for kind in "mr":
        device.start()
        device.event(kind, BASE + 64, 8)
        streams.append(device.bytes())
    assert streams[0] == streams[1]


# ---------------------------------------------------------------------- where a reader goes on


def event(number):
    """A malloc of 8 bytes."""
    return record(0, number, 0, number | 8 << 20)


def around(number, first):
    """A whole record, whose fields happen to hold two records that follow each other."""
    inside = event(first) + event(first + 1)
    words = [int.from_bytes(inside[at : at + 4], "little") for at in range(0, 16, 4)]
    return record(2, number, 0, *words)


SYNC = record(3, 0, 0, 0x31454852, 0, 0, 0x2000_0000, 0, 0x0008_0403)
NOISE = b"\xff\xff"  # of no record


def numbers(data):
    return [found.number for found in wire.records(data) if found.kind in "mfrx"]


@pytest.mark.parametrize("expected", [0, 1, 23, 30, 63])
@pytest.mark.parametrize(("ahead", "believed"), [(0, True), (40, True), (41, False), (63, False)])
def test_a_record_alone_is_believed_if_its_number_is_likely(expected, ahead, believed):
    before = b"".join(event(number) for number in range(expected))
    alone = (expected + ahead) % 64
    after = event(7) + event(8)
    found = numbers(SYNC + before + NOISE + event(alone) + NOISE + after)
    assert found == [*range(expected), *([alone] if believed else []), 7, 8]
    # the same where the record before it is whole
    found = numbers(SYNC + before + event(alone) + NOISE + after)
    assert found == [*range(expected), *([alone] if believed else []), 7, 8]


def test_an_unlikely_record_is_believed_if_another_follows_it_or_nothing():
    start = SYNC + event(0) + NOISE
    assert numbers(start + event(60) + event(61)) == [0, 60, 61]
    assert numbers(start + event(63) + event(0) + NOISE) == [0, 63, 0]
    assert numbers(start + event(60)) == [0, 60]
    assert numbers(start + event(60) + NOISE) == [0]
    assert numbers(start + event(60) + event(62) + NOISE) == [0]


@pytest.mark.parametrize("number", [0, 5, 50, 63])
def test_the_first_record_of_all_may_have_any_number(number):
    assert numbers(event(number) + NOISE + SYNC) == [number]
    assert numbers(NOISE + event(number) + NOISE + SYNC) == [number]


@pytest.mark.parametrize("count", [1, 10, 64])
def test_a_record_in_its_place_is_believed_whatever_it_holds(count):
    before = b"".join(event(number) for number in range(count))
    assert numbers(SYNC + before + around(count % 64, 20) + NOISE) == [*range(count), count % 64]


def test_a_doubtful_record_gives_way_to_better_ones_that_begin_in_it():
    start = SYNC + event(0) + NOISE
    assert numbers(start + around(5, 20) + NOISE) == [0, 20, 21]
    assert numbers(start + around(5, 20) + event(6)) == [0, 5, 6]
    assert numbers(start + around(5, 20)) == [0, 5]


@pytest.mark.parametrize("tick", [90, 99, 100 + 2**31])
def test_a_time_before_what_is_known_changes_nothing(tick):
    sync = record(3, 0, 0, 0x31454852, 0, 100, 0x2000_0000, 0, 0x0008_0403)
    found = load(sync + record(3, 0, 1, tick) + record(0, 0, 4 << 4, 8 << 20))
    assert found.time.tolist() == [100]
    found = load(sync + record(3, 0, 1, 99 + 2**31) + record(0, 0, 3 << 4, 8 << 20))
    assert found.time.tolist() == [99 + 2**31]
