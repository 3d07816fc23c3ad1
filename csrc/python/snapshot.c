/* Copies and pickles: a snapshot is all that a heap is, besides the arena's bytes. */
#include "extension.h"

#include <string.h>

#define SNAPSHOT_VERSION 4

/* All that a heap is, taken at one moment: no Python object is made while it is, since that can
 * run a finaliser that uses the heap. */
struct moment {
    struct rh_numbers numbers;
    struct collected blocks, list, ever, moved;
    unsigned char **memories; /* copies of the regions, or NULL */
};

static void moment_drop(const struct heap *heap, struct moment *moment) {
    collect_drop(&moment->blocks);
    collect_drop(&moment->list);
    collect_drop(&moment->ever);
    collect_drop(&moment->moved);
    for (Py_ssize_t i = 0; moment->memories != NULL && i < heap_arena_count(heap); i++)
        PyMem_Free(moment->memories[i]);
    PyMem_Free(moment->memories);
}

/* With the shadow in the arena's place a walk meets no overwritten header. The rest that nothing
 * has used yet is left out: set-up knows it. */
static bool moment_take_state(const struct heap *heap, struct moment *moment) {
    const struct rh_ops *ops = heap->ops;
    struct rh_setup_region *arenas = heap_regions(heap, false);
    struct rh_setup_region *shadows = arenas == NULL ? NULL : heap_regions(heap, true);
    if (shadows != NULL) {
        ops->numbers(heap->state, &moment->numbers);
        ops->attach(heap->state, shadows);
        ops->walk(heap->state, collect_block, &moment->blocks);
        ops->walk_free(heap->state, collect_entry, &moment->list);
        ops->walk_ever(heap->state, collect_address, &moment->ever);
        if (ops->has_calls) ops->walk_moved(heap->state, collect_address, &moment->moved);
        ops->attach(heap->state, arenas);
    }
    PyMem_Free(arenas);
    PyMem_Free(shadows);
    if (shadows == NULL || moment->blocks.failed || moment->list.failed || moment->ever.failed ||
        moment->moved.failed)
        return false;
    if (moment->numbers.rest != 0) {
        moment->blocks.count -= 3;
        moment->list.count -= 1;
    }
    return true;
}

static bool moment_take_memories(const struct heap *heap, struct moment *moment) {
    const Py_ssize_t count = heap_arena_count(heap);
    moment->memories = PyMem_Calloc((size_t)count, sizeof *moment->memories);
    for (Py_ssize_t i = 0; moment->memories != NULL && i < count; i++) {
        const Py_buffer *buffer = &heap_arena(heap, i)->buffer;
        moment->memories[i] = PyMem_Malloc((size_t)buffer->len + 1);
        if (moment->memories[i] == NULL) return false;
        memcpy(moment->memories[i], buffer->buf, (size_t)buffer->len);
    }
    return moment->memories != NULL;
}

/* False with an exception; moment_drop() is due in any case. */
static bool moment_take(const struct heap *heap, struct moment *moment, bool with_memories) {
    if (!heap_ready_arena(heap, "a copy or a pickle")) return false;
    if (moment_take_state(heap, moment) && (!with_memories || moment_take_memories(heap, moment)))
        return true;
    PyErr_NoMemory();
    return false;
}

static PyObject *to_bytes(const struct collected *collected) {
    return PyBytes_FromStringAndSize((const char *)collected->values,
                                     (Py_ssize_t)(collected->count * sizeof(uint64_t)));
}

static PyObject *addresses_of(const struct heap *heap) {
    const Py_ssize_t count = heap_arena_count(heap);
    PyObject *addresses = PyTuple_New(count);
    for (Py_ssize_t i = 0; addresses != NULL && i < count; i++) {
        PyObject *address = PyLong_FromUnsignedLongLong(heap_arena(heap, i)->address);
        if (address == NULL || PyTuple_SetItem(addresses, i, address) != 0) Py_CLEAR(addresses);
    }
    return addresses;
}

static PyObject *snapshot_of(const struct heap *heap, const struct moment *moment) {
    const struct rh_numbers *n = &moment->numbers;
    return Py_BuildValue(
        "{sisisisKsNsNsNsNsKsKsKsKsKsNsNsNszszsKsNsNsK}", "version", SNAPSHOT_VERSION, "kind",
        heap->ops->kind, "word_size", heap->ops->word_bytes, "alignment",
        (unsigned long long)heap->alignment, "clear_on_free", PyBool_FromLong(heap->clear_on_free),
        "canary", number_or_none(heap->has_canary, heap->canary), "end_marker_address",
        number_or_none(heap->ops->has_end_marker, heap->end_marker), "addresses",
        addresses_of(heap), "minimum_ever_free", (unsigned long long)n->minimum_ever_free,
        "allocations", (unsigned long long)n->allocations, "frees", (unsigned long long)n->frees,
        "failed", (unsigned long long)n->failed, "reached", (unsigned long long)n->reached,
        "blocks", to_bytes(&moment->blocks), "free_list", to_bytes(&moment->list), "ever",
        to_bytes(&moment->ever), "kernel",
        heap_has_kernel(heap) ? rh_kernels[heap->kernel].name : NULL, "newlib",
        heap->ops->has_calls ? rh_nano_names[heap->newlib] : NULL, "extended",
        (unsigned long long)n->extended, "moved", to_bytes(&moment->moved), "policy",
        heap->ops->kind == RH_KIND_POLICY ? policy_tuple(&heap->policy) : Py_NewRef(Py_None),
        "rover", (unsigned long long)n->rover);
}

/* A tuple with a new bytearray for each region. */
static PyObject *memories_of(const struct heap *heap, const struct moment *moment) {
    const Py_ssize_t count = heap_arena_count(heap);
    PyObject *memories = PyTuple_New(count);
    for (Py_ssize_t i = 0; memories != NULL && i < count; i++) {
        PyObject *memory = PyByteArray_FromStringAndSize((const char *)moment->memories[i],
                                                         heap_arena(heap, i)->buffer.len);
        if (memory == NULL || PyTuple_SetItem(memories, i, memory) != 0) Py_CLEAR(memories);
    }
    return memories;
}

PyObject *heap_snapshot(PyObject *self, PyObject *Py_UNUSED(unused)) {
    const struct heap *heap = (struct heap *)self;
    struct moment moment = {0};
    PyObject *snapshot = moment_take(heap, &moment, false) ? snapshot_of(heap, &moment) : NULL;
    moment_drop(heap, &moment);
    return snapshot;
}

/* --- back: from a dict, in which nothing is trusted ----------------------------------------------
 */

/* In the order of a snapshot's entries. */
enum entry {
    VERSION,
    KIND,
    WORD_SIZE,
    ALIGNMENT,
    CLEAR_ON_FREE,
    CANARY,
    END_MARKER,
    ADDRESSES,
    MINIMUM,
    ALLOCATIONS,
    FREES,
    FAILED,
    REACHED,
    BLOCKS,
    FREE_LIST,
    EVER,
    KERNEL,
    NEWLIB,
    EXTENDED,
    MOVED,
    POLICY,
    ROVER,
    ENTRIES
};
enum entry_type { INT, INT_OR_NONE, BOOL, TUPLE, BYTES, STR_OR_NONE, TUPLE_OR_NONE };

static const struct {
    const char *name;
    enum entry_type type;
} entries[ENTRIES] = {
    [VERSION] = {"version", INT},
    [KIND] = {"kind", INT},
    [WORD_SIZE] = {"word_size", INT},
    [ALIGNMENT] = {"alignment", INT},
    [CLEAR_ON_FREE] = {"clear_on_free", BOOL},
    [CANARY] = {"canary", INT_OR_NONE},
    [END_MARKER] = {"end_marker_address", INT_OR_NONE},
    [ADDRESSES] = {"addresses", TUPLE},
    [MINIMUM] = {"minimum_ever_free", INT},
    [ALLOCATIONS] = {"allocations", INT},
    [FREES] = {"frees", INT},
    [FAILED] = {"failed", INT},
    [REACHED] = {"reached", INT},
    [BLOCKS] = {"blocks", BYTES},
    [FREE_LIST] = {"free_list", BYTES},
    [EVER] = {"ever", BYTES},
    [KERNEL] = {"kernel", STR_OR_NONE},
    [NEWLIB] = {"newlib", STR_OR_NONE},
    [EXTENDED] = {"extended", INT},
    [MOVED] = {"moved", BYTES},
    [POLICY] = {"policy", TUPLE_OR_NONE},
    [ROVER] = {"rover", INT},
};

/* What a snapshot says. It holds what it refers to: the dict may change meanwhile. */
struct given_snapshot {
    PyObject *object[ENTRIES];
    uint64_t number[ENTRIES]; /* 0 of what is none */
};

static bool is_of_type(PyObject *object, enum entry_type type) {
    switch (type) {
    case INT: return PyLong_Check(object);
    case INT_OR_NONE: return PyLong_Check(object) || object == Py_None;
    case BOOL: return PyBool_Check(object);
    case TUPLE: return PyTuple_Check(object);
    case TUPLE_OR_NONE: return PyTuple_Check(object) || object == Py_None;
    case STR_OR_NONE: return PyUnicode_Check(object) || object == Py_None;
    default: return PyBytes_Check(object);
    }
}

/* The index of an entry by its name, without the key's own idea of equality; or ENTRIES. */
static int find_entry(PyObject *key) {
    int i = 0;
    while (i < ENTRIES &&
           !(PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, entries[i].name) == 0))
        i++;
    return i;
}

/* Every entry that there must be, and no other. No Python code runs meanwhile. */
static bool take_objects(PyObject *snapshot, struct given_snapshot *given) {
    PyObject *key, *object;
    Py_ssize_t place = 0;
    while (PyDict_Next(snapshot, &place, &key, &object)) {
        const int i = find_entry(key);
        if (i == ENTRIES || given->object[i] != NULL) {
            Py_INCREF(key); /* its repr may clear the dict */
            PyErr_Format(PyExc_ValueError, "snapshot: %R is %s", key,
                         i == ENTRIES ? "no entry of it" : "given twice");
            Py_DECREF(key);
            return false;
        }
        given->object[i] = Py_NewRef(object);
    }
    for (int i = 0; i < ENTRIES; i++)
        if (given->object[i] == NULL) {
            PyErr_Format(PyExc_ValueError, "snapshot: '%s' is missing", entries[i].name);
            return false;
        }
    return true;
}

static bool take_numbers(struct given_snapshot *given) {
    static const char *const types[] = {"an int", "an int or None", "a bool",         "a tuple",
                                        "bytes",  "a str or None",  "a tuple or None"};
    for (int i = 0; i < ENTRIES; i++) {
        PyObject *object = given->object[i];
        char name[48];
        PyOS_snprintf(name, sizeof name, "snapshot: '%s'", entries[i].name);
        if (!is_of_type(object, entries[i].type)) {
            PyErr_Format(PyExc_TypeError, "%s must be %s, not %R", name, types[entries[i].type],
                         object);
            return false;
        }
        if (PyLong_Check(object) && !convert_option(object, name, UINT64_MAX, &given->number[i]))
            return false;
    }
    return true;
}

/* Version 3 knew the five heaps. */
static PyObject *from_version_3(PyObject *dict) {
    PyObject *copy = PyDict_Copy(dict);
    PyObject *added =
        Py_BuildValue("{s:i,s:O,s:i}", "version", SNAPSHOT_VERSION, "policy", Py_None, "rover", 0);
    if (copy == NULL || added == NULL || PyDict_Update(copy, added) != 0) Py_CLEAR(copy);
    Py_XDECREF(added);
    return copy;
}

/* Version 2 knew the newest kernel only, and newlib 3.3.0. */
static PyObject *from_version_2(PyObject *dict) {
    PyObject *copy = PyDict_Copy(dict);
    PyObject *added = Py_BuildValue("{s:z,s:z,s:i,s:y#}", "kernel", NULL, "newlib", "3.3.0",
                                    "extended", 0, "moved", "", (Py_ssize_t)0);
    if (copy == NULL || added == NULL || PyDict_Update(copy, added) != 0) Py_CLEAR(copy);
    Py_XDECREF(added);
    PyObject *third = copy == NULL ? NULL : from_version_3(copy);
    Py_XDECREF(copy);
    return third;
}

/* The snapshot as a dict of this version, a new reference. What the entries of a later one are is
 * not known here. */
static PyObject *of_this_version(PyObject *snapshot) {
    PyObject *key, *object;
    Py_ssize_t place = 0;
    if (!PyDict_Check(snapshot)) {
        PyErr_Format(PyExc_TypeError, "snapshot must be a dict, not %R", snapshot);
        return NULL;
    }
    while (PyDict_Next(snapshot, &place, &key, &object)) {
        if (find_entry(key) != VERSION || !PyLong_Check(object)) continue;
        const long long version = PyLong_AsLongLong(object);
        PyErr_Clear();
        if (version == 2) return from_version_2(snapshot);
        if (version == 3) return from_version_3(snapshot);
        if (version == SNAPSHOT_VERSION) break;
        Py_INCREF(object); /* its repr may clear the dict */
        PyErr_Format(PyExc_ValueError, "snapshot of version %R; this release reads 1 to %d", object,
                     SNAPSHOT_VERSION);
        Py_DECREF(object);
        return NULL;
    }
    return Py_NewRef(snapshot);
}

/* A tuple of version 1 as the dict that it stands for: its canary was heap_2's end marker, too. */
static PyObject *from_version_1(PyObject *tuple) {
    int version, kind, word, clear;
    unsigned long long alignment, extra, minimum, allocations, frees, failed, reached;
    PyObject *flag, *addresses, *blocks, *list, *ever;
    if (!PyArg_ParseTuple(tuple, "iiiKiOKO!(KKKKK)SSS;not a snapshot of a heap", &version, &kind,
                          &word, &alignment, &clear, &flag, &extra, &PyTuple_Type, &addresses,
                          &minimum, &allocations, &frees, &failed, &reached, &blocks, &list, &ever))
        return NULL;
    if (version != 1) {
        PyErr_Format(PyExc_ValueError, "snapshot of version %d is no tuple", version);
        return NULL;
    }
    const bool has_canary = flag == Py_True;
    return Py_BuildValue("{sisisisKsNsNsNsOsKsKsKsKsKsOsOsO}", "version", 2, "kind", kind,
                         "word_size", word, "alignment", alignment, "clear_on_free",
                         PyBool_FromLong(clear), "canary", number_or_none(has_canary, extra),
                         "end_marker_address", number_or_none(!has_canary && kind == 2, extra),
                         "addresses", addresses, "minimum_ever_free", minimum, "allocations",
                         allocations, "frees", frees, "failed", failed, "reached", reached,
                         "blocks", blocks, "free_list", list, "ever", ever);
}

static uint64_t *from_bytes(PyObject *bytes, size_t unit, size_t *count) {
    char *data;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &data, &length) != 0) return NULL;
    if ((size_t)length % (unit * sizeof(uint64_t)) != 0) {
        PyErr_SetString(PyExc_ValueError, "snapshot: a list was cut");
        return NULL;
    }
    *count = (size_t)length / (unit * sizeof(uint64_t));
    uint64_t *values = PyMem_Malloc((size_t)length + 1);
    if (values == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(values, data, (size_t)length);
    return values;
}

static struct rh_block *blocks_from_bytes(PyObject *bytes, size_t *count) {
    uint64_t *values = from_bytes(bytes, 3, count);
    if (values == NULL) return NULL;
    struct rh_block *blocks = PyMem_Calloc(*count + 1, sizeof *blocks);
    if (blocks == NULL) {
        PyErr_NoMemory();
    } else {
        for (size_t i = 0; i < *count; i++) {
            struct rh_block block = {values[3 * i], values[3 * i + 1], values[3 * i + 2] != 0};
            blocks[i] = block;
        }
    }
    PyMem_Free(values);
    return blocks;
}

static PyObject *arenas_of(struct heap *heap, PyObject *memories, PyObject *addresses) {
    const struct rh_ops *ops = heap->ops;
    PyObject *list = PySequence_Tuple(memories);
    if (list == NULL) return NULL;
    const Py_ssize_t count = PyTuple_Size(list);
    PyObject *arenas = NULL;
    if (count == 0 || count != PyTuple_Size(addresses) || (!ops->has_regions && count != 1))
        PyErr_Format(PyExc_ValueError, "memories: %zd given for %zd regions", count,
                     PyTuple_Size(addresses));
    else
        arenas = PyTuple_New(count);
    for (Py_ssize_t i = 0; arenas != NULL && i < count; i++) {
        uint64_t address;
        struct arena *arena = NULL;
        if (convert_option(PyTuple_GetItem(addresses, i), "address", ops->word_max, &address))
            arena = core_arena_new(heap->core, PyTuple_GetItem(list, i), "memories",
                                   ops->word_max / 2 + 1);
        if (arena == NULL) {
            Py_CLEAR(arenas);
            break;
        }
        arena->address = address;
        PyTuple_SetItem(arenas, i, (PyObject *)arena);
    }
    Py_DECREF(list);
    return arenas;
}

/* The object, with the options; its state is still to be made. */
static struct heap *heap_of(PyTypeObject *type, const struct given_snapshot *given) {
    struct core_state *core = core_state_of_type(type);
    const uint64_t *n = given->number;
    if (core == NULL) return NULL;
    const struct rh_ops *ops = n[KIND] > RH_KINDS || n[WORD_SIZE] > 8
                                   ? NULL
                                   : rh_ops_find((int)n[KIND], (int)n[WORD_SIZE]);
    if (ops == NULL || !PyType_IsSubtype(type, core->heap_types[n[KIND] - 1]) ||
        n[ALIGNMENT] > 32 || (ops->only_alignment != 0 && n[ALIGNMENT] != ops->only_alignment) ||
        n[CANARY] > ops->word_max || n[END_MARKER] > ops->word_max) {
        PyErr_Format(PyExc_ValueError, "snapshot: %R cannot be heap_%llu with word_size=%llu", type,
                     (unsigned long long)n[KIND], (unsigned long long)n[WORD_SIZE]);
        return NULL;
    }
    struct heap *heap = heap_allocate(type);
    if (heap == NULL) return NULL;
    heap->ops = ops;
    heap->alignment = n[ALIGNMENT];
    heap->clear_on_free = n[CLEAR_ON_FREE] != 0;
    heap->has_canary = given->object[CANARY] != Py_None;
    heap->canary = n[CANARY];
    heap->end_marker = n[END_MARKER];
    if ((ops->kind == RH_KIND_POLICY) != (given->object[POLICY] != Py_None)) {
        PyErr_SetString(PyExc_ValueError, "snapshot: 'policy' is of another heap");
        Py_CLEAR(heap);
    } else if (ops->kind == RH_KIND_POLICY && !policy_take(given->object[POLICY], &heap->policy)) {
        Py_CLEAR(heap);
    }
    if (heap == NULL) return NULL;
    if (heap_take_versions(heap, given->object[KERNEL], given->object[NEWLIB]) != 0) Py_CLEAR(heap);
    return heap;
}

/* Set-up writes the arena; a restored one is kept. So a shadow takes the writes, and is dropped. */
static bool set_up_on_shadow(struct heap *heap) {
    if (heap_set_up(heap, true) != 0) return false;
    struct rh_setup_region *regions = heap_renew_shadow(heap, true);
    if (regions != NULL) heap->ops->attach(heap->state, regions);
    PyMem_Free(regions);
    return regions != NULL;
}

static bool restore_state(struct heap *heap, PyObject *arenas, const struct given_snapshot *given) {
    const uint64_t *n = given->number;
    struct rh_snapshot snapshot = {.numbers = {n[MINIMUM], n[ALLOCATIONS], n[FREES], n[FAILED],
                                               n[REACHED], n[EXTENDED], 0, 0, n[ROVER]}};
    struct rh_block *blocks = blocks_from_bytes(given->object[BLOCKS], &snapshot.block_count);
    uint64_t *list = NULL, *ever = NULL, *moved = NULL;
    if (blocks != NULL) list = from_bytes(given->object[FREE_LIST], 1, &snapshot.free_count);
    if (list != NULL) ever = from_bytes(given->object[EVER], 1, &snapshot.ever_count);
    snapshot.blocks = blocks;
    snapshot.free_list = list;
    if (ever != NULL) moved = from_bytes(given->object[MOVED], 1, &snapshot.moved_count);
    snapshot.ever = ever;
    snapshot.moved = moved;
    bool restored = moved != NULL && heap_prepare(heap, arenas) == 0 && set_up_on_shadow(heap);
    if (restored && heap->ops->restore(heap->state, &snapshot) != RH_OK) {
        PyErr_SetString(PyExc_ValueError, "snapshot: no heap can be in this state");
        restored = false;
    }
    PyMem_Free(blocks);
    PyMem_Free(list);
    PyMem_Free(ever);
    PyMem_Free(moved);
    return restored && heap_attach(heap) == 0;
}

static PyObject *restore(PyTypeObject *type, PyObject *memories, PyObject *snapshot) {
    struct given_snapshot given = {{NULL}, {0}};
    PyObject *given_dict = PyTuple_Check(snapshot) ? from_version_1(snapshot) : Py_NewRef(snapshot);
    PyObject *dict = given_dict == NULL ? NULL : of_this_version(given_dict);
    Py_XDECREF(given_dict);
    struct heap *heap = NULL;
    if (dict != NULL && take_objects(dict, &given) && take_numbers(&given))
        heap = heap_of(type, &given);
    PyObject *arenas = heap == NULL ? NULL : arenas_of(heap, memories, given.object[ADDRESSES]);
    if (arenas != NULL && heap_test_overlap(arenas, "memories") == 0 &&
        restore_state(heap, arenas, &given))
        heap->busy = false;
    else
        Py_CLEAR(heap);
    Py_XDECREF(arenas);
    Py_XDECREF(dict);
    for (int i = 0; i < ENTRIES; i++)
        Py_XDECREF(given.object[i]);
    return (PyObject *)heap;
}

PyObject *core_restore(PyObject *module, PyObject *args) {
    PyObject *type, *memories, *snapshot;
    struct core_state *core = PyModule_GetState(module);
    if (!PyArg_ParseTuple(args, "O!OO:_restore", &PyType_Type, &type, &memories, &snapshot))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)type, core->heap_type)) {
        PyErr_Format(PyExc_TypeError, "_restore: %R is not a heap type", type);
        return NULL;
    }
    return restore((PyTypeObject *)type, memories, snapshot);
}

/* The snapshot and the memories of one moment; false with an exception. */
static bool take_both(const struct heap *heap, PyObject **snapshot, PyObject **memories) {
    struct moment moment = {0};
    *snapshot = *memories = NULL;
    if (moment_take(heap, &moment, true)) {
        *snapshot = snapshot_of(heap, &moment);
        if (*snapshot != NULL) *memories = memories_of(heap, &moment);
    }
    moment_drop(heap, &moment);
    if (*memories == NULL) Py_CLEAR(*snapshot);
    return *memories != NULL;
}

PyObject *heap_copy(PyObject *self, PyObject *Py_UNUSED(unused)) {
    PyObject *snapshot, *memories;
    if (!take_both((struct heap *)self, &snapshot, &memories)) return NULL;
    PyObject *copy = restore(Py_TYPE(self), memories, snapshot);
    Py_DECREF(memories);
    Py_DECREF(snapshot);
    return copy;
}

PyObject *heap_reduce(PyObject *self, PyObject *Py_UNUSED(unused)) {
    PyObject *snapshot, *memories, *result = NULL;
    if (!take_both((struct heap *)self, &snapshot, &memories)) return NULL;
    PyObject *module = PyImport_ImportModule("rtosheap._core");
    PyObject *restorer = module == NULL ? NULL : PyObject_GetAttrString(module, "_restore");
    if (restorer != NULL)
        result = Py_BuildValue("(O(OOO))", restorer, (PyObject *)Py_TYPE(self), memories, snapshot);
    Py_XDECREF(module);
    Py_XDECREF(restorer);
    Py_DECREF(memories);
    Py_DECREF(snapshot);
    return result;
}
