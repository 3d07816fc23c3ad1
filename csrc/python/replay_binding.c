/* replay(): arrays in, columns out, the loop itself without the GIL. */
#include "extension.h"

#include <stddef.h>
#include <string.h>

#include "replay.h"

/* What runs between two looks at signals and at progress(): some milliseconds, whatever an event
 * costs. */
#define EVENTS_AT_ONCE 4096
#define STEPS_AT_ONCE 1000000

#define COLUMN_OF(type, name) {#name, sizeof(type), offsetof(struct rh_columns, name)},
static const struct column {
    const char *name;
    Py_ssize_t item;
    size_t at; /* in struct rh_columns */
} known_columns[] = {RH_COLUMNS(COLUMN_OF)};
#undef COLUMN_OF
enum { COLUMNS = sizeof known_columns / sizeof known_columns[0] };

/* All buffers that a call holds, to be released together: op, slot, size, slots and the
 * columns. */
struct buffers {
    Py_buffer views[4 + COLUMNS];
    int count;
};

static PyObject *tuple_of(const char *const *names, int count) {
    PyObject *tuple = PyTuple_New(count);
    for (int i = 0; tuple != NULL && i < count; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        if (name == NULL || PyTuple_SetItem(tuple, i, name) != 0) Py_CLEAR(tuple);
    }
    return tuple;
}

PyObject *core_column_names(void) {
    const char *names[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        names[i] = known_columns[i].name;
    return tuple_of(names, COLUMNS);
}

PyObject *core_failure_names(void) {
    static const char *const names[RH_FAILURES] = RH_FAILURE_NAMES;
    return tuple_of(names, RH_FAILURES);
}

long core_slot_bytes(void) {
    return (long)sizeof(struct rh_slot);
}

static void release(struct buffers *buffers) {
    while (buffers->count > 0)
        PyBuffer_Release(&buffers->views[--buffers->count]);
}

/* The memory of a C-contiguous array of `length` items of `item` bytes; NULL with an exception.
 * length < 0 takes any. */
static void *array(struct buffers *buffers, PyObject *object, const char *name, Py_ssize_t item,
                   Py_ssize_t length, bool writable) {
    Py_buffer *view = &buffers->views[buffers->count];
    const int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (core_get_plain_buffer(object, view, flags, name) != 0) return NULL;
    buffers->count++;
    if (view->itemsize != item || (length >= 0 && view->len / item != length) ||
        (uintptr_t)view->buf % (uintptr_t)item != 0) {
        PyErr_Format(PyExc_ValueError, "%s must be an aligned array of %zd items of %zd bytes",
                     name, length < 0 ? view->len / item : length, item);
        return NULL;
    }
    return view->buf != NULL ? view->buf : (void *)view; /* an empty array is no NULL */
}

static void raise_replay(struct heap *heap, const struct rh_replay *replay,
                         enum rh_replay_result result) {
    if (result == RH_REPLAY_CORRUPT)
        heap_raise_last_fault(heap, (int64_t)replay->done);
    else if (result == RH_REPLAY_NO_INDEX)
        PyErr_SetString(PyExc_MemoryError, "engine: there is no memory for an index of the heap");
    else
        PyErr_Format(PyExc_ValueError, "event %zu is none: operation %d, slot %d of %zu",
                     replay->done, (int)replay->op[replay->done], (int)replay->slot[replay->done],
                     replay->slot_count);
}

/* Runs to the end, with the GIL only where Python must be asked. */
static int run(struct heap *heap, struct rh_replay *replay, PyObject *progress) {
    int failed = 0;
    while (!failed && replay->done < replay->events &&
           !(replay->stop_at_failure && replay->failures != 0)) {
        enum rh_replay_result result;
        if (heap->replaying_in != forks_generation()) {
            PyErr_SetString(PyExc_RuntimeError,
                            "the process was forked meanwhile: the replay goes on in its parent");
            return -1;
        }
        Py_BEGIN_ALLOW_THREADS;
        forks_hold_off();
        result = rh_replay_run(replay, replay->done + EVENTS_AT_ONCE, STEPS_AT_ONCE);
        forks_let_go();
        Py_END_ALLOW_THREADS;
        if (result != RH_REPLAY_OK) {
            raise_replay(heap, replay, result);
            failed = 1;
        } else if (PyErr_CheckSignals() != 0) {
            failed = 1;
        } else if (progress != Py_None) {
            PyObject *answer = PyObject_CallFunction(progress, "nn", (Py_ssize_t)replay->done,
                                                     (Py_ssize_t)replay->events);
            Py_XDECREF(answer);
            failed = answer == NULL;
        }
    }
    return failed ? -1 : 0;
}

/* An event of -1 is none. */
static PyObject *counts_of(const struct rh_replay *r) {
    return Py_BuildValue(
        "{sKsKsKsKsKsKsKsLsLsKsL}", "done", (unsigned long long)r->done, "failures",
        (unsigned long long)r->failures, "zero_size", (unsigned long long)r->zero_size, "skipped",
        (unsigned long long)r->skipped, "ignored_frees", (unsigned long long)r->ignored_frees,
        "live_bytes", (unsigned long long)r->live_bytes, "most_nodes",
        (unsigned long long)r->most_nodes, "most_nodes_event", (long long)r->most_nodes_event,
        "first_failure", (long long)r->first_failure, "need", (unsigned long long)r->need.need,
        "need_event", (long long)r->need.event);
}

static const struct column *find_column(PyObject *name) {
    for (int i = 0; PyUnicode_Check(name) && i < COLUMNS; i++)
        if (PyUnicode_CompareWithASCIIString(name, known_columns[i].name) == 0)
            return &known_columns[i];
    return NULL;
}

/* One column into *taken. A name of a class of its own may stand twice in a dict. */
static bool take_column(struct buffers *buffers, PyObject *name, PyObject *memory,
                        Py_ssize_t events, struct rh_columns *taken) {
    const struct column *column = find_column(name);
    void *at;
    if (column == NULL) {
        PyErr_Format(PyExc_ValueError, "columns: there is no column %R", name);
        return false;
    }
    memcpy(&at, (char *)taken + column->at, sizeof at);
    if (at != NULL) {
        PyErr_Format(PyExc_ValueError, "columns: %R is given twice", name);
        return false;
    }
    at = array(buffers, memory, column->name, column->item, events, true);
    memcpy((char *)taken + column->at, &at, sizeof at);
    return at != NULL;
}

static bool take_columns(struct buffers *buffers, PyObject *columns, Py_ssize_t events,
                         struct rh_columns *taken) {
    if (!PyDict_Check(columns)) {
        PyErr_SetString(PyExc_TypeError, "columns must be a dict of arrays by their names");
        return false;
    }
    PyObject *items = PyDict_Items(columns); /* taking a buffer may run Python */
    bool good = items != NULL;
    for (Py_ssize_t i = 0; good && i < PyList_Size(items); i++) {
        PyObject *item = PyList_GetItem(items, i);
        good =
            take_column(buffers, PyTuple_GetItem(item, 0), PyTuple_GetItem(item, 1), events, taken);
    }
    Py_XDECREF(items);
    return good;
}

/* Slots that an earlier replay left: what they say is live must be. */
static bool take_slots(const struct heap *heap, struct rh_replay *replay,
                       const unsigned char *kept) {
    memcpy(replay->slots, kept, replay->slot_count * sizeof *replay->slots);
    for (size_t i = 0; i < replay->slot_count; i++) {
        const struct rh_slot *slot = &replay->slots[i];
        replay->live_bytes += slot->state == RH_SLOT_LIVE ? slot->size : 0;
        if (slot->state != RH_SLOT_LIVE || heap->ops->live(heap->state, slot->address) == RH_OK)
            continue;
        PyErr_Format(PyExc_ValueError, "slots[%zu] has an address that is not live in the heap", i);
        return false;
    }
    return true;
}

/* None: whichever is quicker. */
static bool take_engine(PyObject *name, enum rh_engine *engine) {
    static const char *const names[RH_ENGINES] = RH_ENGINE_NAMES;
    *engine = RH_ENGINE_CHOSEN;
    for (int i = 1; PyUnicode_Check(name) && i < RH_ENGINES; i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) *engine = (enum rh_engine)i;
    if (name == Py_None || *engine != RH_ENGINE_CHOSEN) return true;
    PyErr_Format(PyExc_ValueError, "engine must be None, 'list' or 'index', not %R", name);
    return false;
}

PyObject *core_replay(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    struct core_state *core = PyModule_GetState(module);
    if (count < 9 || count > 10 || !PyObject_TypeCheck(args[0], core->heap_type)) {
        PyErr_SetString(PyExc_TypeError, "replay(heap, op, slot, size, slots, columns, "
                                         "stop_at_failure, track_need, progress[, engine])");
        return NULL;
    }
    struct heap *heap = (struct heap *)args[0];
    if (!heap_ready_arena(heap, "replay")) return NULL;
    Py_ssize_t slots = PyLong_Check(args[4]) ? PyLong_AsSsize_t(args[4]) : 0;
    if (slots < 0) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "slots must not be negative");
        return NULL;
    }
    const int stop = PyObject_IsTrue(args[6]);
    const int track = stop < 0 ? -1 : PyObject_IsTrue(args[7]);
    if (track < 0) return NULL;

    struct buffers buffers = {.count = 0};
    struct rh_replay replay = {
        .ops = heap->ops, .state = heap->state, .stop_at_failure = stop != 0};
    if (count > 9 && !take_engine(args[9], &replay.engine)) return NULL;
    replay.track_need = track != 0 && heap->ops->has_need;
    PyObject *result = NULL;
    replay.op = array(&buffers, args[1], "op", 1, -1, false);
    if (replay.op == NULL) goto done;
    const Py_ssize_t events = buffers.views[0].len;
    replay.events = (size_t)events;
    replay.slot = array(&buffers, args[2], "slot", 4, events, false);
    if (replay.slot == NULL) goto done;
    replay.size = array(&buffers, args[3], "size", 8, events, false);
    if (replay.size == NULL || !take_columns(&buffers, args[5], events, &replay.columns)) goto done;
    unsigned char *kept = NULL; /* what the caller keeps of the slots from replay to replay */
    if (!PyLong_Check(args[4])) {
        kept = array(&buffers, args[4], "slots", 1, -1, true);
        if (kept == NULL) goto done;
        slots = buffers.views[buffers.count - 1].len / (Py_ssize_t)sizeof *replay.slots;
    }
    replay.slot_count = (size_t)slots;
    replay.slots = PyMem_Calloc((size_t)slots + 1, sizeof *replay.slots);
    if (replay.slots == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (!heap_ready(heap)) goto done; /* taking the buffers may have run other threads */
    rh_replay_begin(&replay);
    if (kept != NULL && !take_slots(heap, &replay, kept)) goto done;
    heap->busy = true;
    heap->replaying_in = forks_generation();
    if (run(heap, &replay, args[8]) == 0) result = counts_of(&replay);
    heap->busy = false;
    rh_replay_end(&replay);
    if (kept != NULL) memcpy(kept, replay.slots, (size_t)slots * sizeof *replay.slots);
done:
    PyMem_Free(replay.slots);
    release(&buffers);
    return result;
}
