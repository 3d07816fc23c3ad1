/* Copies and pickles: a snapshot is all that a heap is, besides the arena's bytes. */
#include "extension.h"

#include <string.h>

#define SNAPSHOT_VERSION 1

/* All that a heap is, taken at one moment: no Python object is made while it is, since that can
 * run a finaliser that uses the heap. */
struct image {
    struct rh_numbers numbers;
    struct numbers blocks, list, ever;
    unsigned char **memories; /* copies of the regions, or NULL */
};

static void image_drop(const struct heap *heap, struct image *image) {
    collect_drop(&image->blocks);
    collect_drop(&image->list);
    collect_drop(&image->ever);
    for (Py_ssize_t i = 0; image->memories != NULL && i < heap_arena_count(heap); i++)
        PyMem_Free(image->memories[i]);
    PyMem_Free(image->memories);
}

/* Lets the arenas, or the shadows in their place, be the memory that the state refers to. */
static void fill_regions(const struct heap *heap, struct rh_setup_region *regions, bool shadow) {
    for (Py_ssize_t i = 0; i < heap_arena_count(heap); i++) {
        const struct arena *arena = heap_arena(heap, i);
        regions[i].memory = shadow ? arena->shadow : arena->buffer.buf;
        regions[i].shadow = arena->shadow;
    }
}

/* heap_1 and heap_3 list the rest that nothing has used yet as a last block; set-up knows it. */
static void drop_rest(const struct heap *heap, struct numbers *blocks, struct numbers *list,
                      uint64_t reached) {
    const int kind = heap->ops->kind;
    if (kind == 1 && blocks->count != 0 && blocks->values[blocks->count - 1] == 0)
        blocks->count -= 3;
    if (kind == 1) list->count = 0;
    const struct arena *arena = heap_arena(heap, 0);
    if (kind == 3 && reached < (uint64_t)arena->buffer.len) {
        if (blocks->count != 0) blocks->count -= 3;
        if (list->count != 0) list->count -= 1;
    }
}

/* With the shadow in the arena's place a walk meets no overwritten header. */
static bool image_take_state(const struct heap *heap, struct image *image) {
    const struct rh_ops *ops = heap->ops;
    struct rh_setup_region *regions = PyMem_Calloc((size_t)heap_arena_count(heap), sizeof *regions);
    if (regions == NULL) return false;
    ops->numbers(heap->state, &image->numbers);
    fill_regions(heap, regions, true);
    ops->attach(heap->state, regions);
    ops->walk(heap->state, collect_block, &image->blocks);
    ops->walk_free(heap->state, collect_entry, &image->list);
    ops->walk_ever(heap->state, collect_address, &image->ever);
    fill_regions(heap, regions, false);
    ops->attach(heap->state, regions);
    PyMem_Free(regions);
    drop_rest(heap, &image->blocks, &image->list, image->numbers.reached);
    return !image->blocks.failed && !image->list.failed && !image->ever.failed;
}

static bool image_take_memories(const struct heap *heap, struct image *image) {
    const Py_ssize_t count = heap_arena_count(heap);
    image->memories = PyMem_Calloc((size_t)count, sizeof *image->memories);
    for (Py_ssize_t i = 0; image->memories != NULL && i < count; i++) {
        const Py_buffer *buffer = &heap_arena(heap, i)->buffer;
        image->memories[i] = PyMem_Malloc((size_t)buffer->len + 1);
        if (image->memories[i] == NULL) return false;
        memcpy(image->memories[i], buffer->buf, (size_t)buffer->len);
    }
    return image->memories != NULL;
}

/* False with an exception; image_drop() is due in any case. */
static bool image_take(const struct heap *heap, struct image *image, bool with_memories) {
    if (!heap_ready_arena(heap, "a copy or a pickle")) return false;
    if (image_take_state(heap, image) && (!with_memories || image_take_memories(heap, image)))
        return true;
    PyErr_NoMemory();
    return false;
}

static PyObject *to_bytes(const struct numbers *numbers) {
    return PyBytes_FromStringAndSize((const char *)numbers->values,
                                     (Py_ssize_t)(numbers->count * sizeof(uint64_t)));
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

static PyObject *snapshot_of(const struct heap *heap, const struct image *image) {
    const struct rh_numbers *n = &image->numbers;
    PyObject *blocks = to_bytes(&image->blocks), *list = to_bytes(&image->list),
             *ever = to_bytes(&image->ever), *addresses = addresses_of(heap), *snapshot = NULL;
    if (blocks != NULL && list != NULL && ever != NULL && addresses != NULL)
        snapshot = Py_BuildValue(
            "(iiiKiOKO(KKKKK)OOO)", SNAPSHOT_VERSION, heap->ops->kind, heap->ops->word_bytes,
            (unsigned long long)heap->alignment, heap->clear_on_free ? 1 : 0,
            heap->has_canary ? Py_True : Py_False,
            (unsigned long long)(heap->has_canary ? heap->canary : heap->end_marker), addresses,
            (unsigned long long)n->minimum_ever_free, (unsigned long long)n->allocations,
            (unsigned long long)n->frees, (unsigned long long)n->failed,
            (unsigned long long)n->reached, blocks, list, ever);
    Py_XDECREF(blocks);
    Py_XDECREF(list);
    Py_XDECREF(ever);
    Py_XDECREF(addresses);
    return snapshot;
}

/* A tuple with a new bytearray for each region. */
static PyObject *memories_of(const struct heap *heap, const struct image *image) {
    const Py_ssize_t count = heap_arena_count(heap);
    PyObject *memories = PyTuple_New(count);
    for (Py_ssize_t i = 0; memories != NULL && i < count; i++) {
        PyObject *memory = PyByteArray_FromStringAndSize((const char *)image->memories[i],
                                                         heap_arena(heap, i)->buffer.len);
        if (memory == NULL || PyTuple_SetItem(memories, i, memory) != 0) Py_CLEAR(memories);
    }
    return memories;
}

PyObject *heap_snapshot(PyObject *self, PyObject *unused) {
    const struct heap *heap = (struct heap *)self;
    struct image image = {0};
    (void)unused;
    PyObject *snapshot = image_take(heap, &image, false) ? snapshot_of(heap, &image) : NULL;
    image_drop(heap, &image);
    return snapshot;
}

/* --- back ---------------------------------------------------------------------------------------
 */

static const uint64_t *from_bytes(PyObject *bytes, size_t unit, size_t *count) {
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
    const uint64_t *values = from_bytes(bytes, 3, count);
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
    PyMem_Free((void *)(uintptr_t)values);
    return blocks;
}

static PyObject *arenas_of(struct heap *heap, PyObject *memories, PyObject *addresses) {
    const struct rh_ops *ops = heap->ops;
    PyObject *list = PySequence_Tuple(memories);
    if (list == NULL) return NULL;
    const Py_ssize_t count = PyTuple_Size(list);
    PyObject *arenas = NULL;
    if (count == 0 || count != PyTuple_Size(addresses) || (heap->ops->kind != 5 && count != 1))
        PyErr_Format(PyExc_ValueError, "memories: %zd given for %zd regions", count,
                     PyTuple_Size(addresses));
    else
        arenas = PyTuple_New(count);
    for (Py_ssize_t i = 0; arenas != NULL && i < count; i++) {
        uint64_t address;
        struct arena *arena = NULL;
        if (convert_option(PyTuple_GetItem(addresses, i), "address", heap->ops->word_max, &address))
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

/* Set-up writes the arena; a restored one is kept. So the shadow takes the writes. */
static int set_up_on_shadow(struct heap *heap) {
    const Py_ssize_t count = heap_arena_count(heap);
    void **memories = PyMem_Calloc((size_t)count, sizeof *memories);
    if (memories == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int result = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        struct arena *arena = heap_arena(heap, i);
        memories[i] = arena->buffer.buf;
        if (arena->shadow == NULL) { /* set-up will say why there is none */
            PyErr_SetString(PyExc_ValueError, "snapshot: no heap has such a region");
            result = -1;
        }
    }
    if (result == 0) {
        for (Py_ssize_t i = 0; i < count; i++)
            heap_arena(heap, i)->buffer.buf = heap_arena(heap, i)->shadow;
        result = heap_set_up(heap);
        for (Py_ssize_t i = 0; i < count; i++)
            heap_arena(heap, i)->buffer.buf = memories[i];
    }
    PyMem_Free(memories);
    return result;
}

static PyObject *restore(PyTypeObject *type, PyObject *memories, PyObject *tuple) {
    int version, kind, word, clear;
    unsigned long long alignment, extra, numbers[5];
    PyObject *has_canary, *addresses, *block_bytes, *list_bytes, *ever_bytes;
    if (!PyArg_ParseTuple(tuple, "iiiKiOKO!(KKKKK)SSS;not a snapshot of a heap", &version, &kind,
                          &word, &alignment, &clear, &has_canary, &extra, &PyTuple_Type, &addresses,
                          &numbers[0], &numbers[1], &numbers[2], &numbers[3], &numbers[4],
                          &block_bytes, &list_bytes, &ever_bytes))
        return NULL;
    if (version != SNAPSHOT_VERSION) {
        PyErr_Format(PyExc_ValueError, "snapshot of version %d; this release reads version %d",
                     version, SNAPSHOT_VERSION);
        return NULL;
    }
    struct core_state *core = core_state_of_type(type);
    if (core == NULL) return NULL;
    const struct rh_ops *ops = rh_ops_find(kind, word);
    if (ops == NULL || !PyType_IsSubtype(type, core->heap_types[kind - 1]) || alignment > 32 ||
        (kind == 3 && alignment != 8) || extra > ops->word_max) {
        PyErr_Format(PyExc_ValueError, "snapshot: %R cannot be heap_%d with word_size=%d", type,
                     kind, word);
        return NULL;
    }
    struct heap *heap = heap_allocate(type);
    if (heap == NULL) return NULL;
    heap->ops = ops;
    heap->alignment = alignment;
    heap->clear_on_free = clear != 0;
    heap->has_canary = has_canary == Py_True;
    *(heap->has_canary ? &heap->canary : &heap->end_marker) = extra;

    struct rh_snapshot snapshot = {
        .numbers = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]}};
    PyObject *arenas = arenas_of(heap, memories, addresses);
    struct rh_block *blocks = NULL;
    const uint64_t *list = NULL, *ever = NULL;
    if (arenas != NULL) blocks = blocks_from_bytes(block_bytes, &snapshot.block_count);
    if (blocks != NULL) list = from_bytes(list_bytes, 1, &snapshot.free_count);
    if (list != NULL) ever = from_bytes(ever_bytes, 1, &snapshot.ever_count);
    snapshot.blocks = blocks;
    snapshot.free_list = list;
    snapshot.ever = ever;
    int result = -1;
    if (ever != NULL && heap_prepare(heap, arenas) == 0 && set_up_on_shadow(heap) == 0) {
        if (ops->restore(heap->state, &snapshot) == RH_OK) {
            result = heap_attach(heap);
            heap->busy = false;
        } else
            PyErr_SetString(PyExc_ValueError, "snapshot: no heap can be in this state");
    }
    PyMem_Free(blocks);
    PyMem_Free((void *)(uintptr_t)list);
    PyMem_Free((void *)(uintptr_t)ever);
    Py_XDECREF(arenas);
    if (result != 0) Py_CLEAR(heap);
    return (PyObject *)heap;
}

PyObject *core_restore(PyObject *module, PyObject *args) {
    PyObject *type, *memories, *snapshot;
    struct core_state *core = PyModule_GetState(module);
    if (!PyArg_ParseTuple(args, "O!OO!:_restore", &PyType_Type, &type, &memories, &PyTuple_Type,
                          &snapshot))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)type, core->heap_type)) {
        PyErr_Format(PyExc_TypeError, "_restore: %R is not a heap type", type);
        return NULL;
    }
    return restore((PyTypeObject *)type, memories, snapshot);
}

/* The snapshot and the memories of one moment; false with an exception. */
static bool take_both(const struct heap *heap, PyObject **snapshot, PyObject **memories) {
    struct image image = {0};
    *snapshot = *memories = NULL;
    if (image_take(heap, &image, true)) {
        *snapshot = snapshot_of(heap, &image);
        if (*snapshot != NULL) *memories = memories_of(heap, &image);
    }
    image_drop(heap, &image);
    if (*memories == NULL) Py_CLEAR(*snapshot);
    return *memories != NULL;
}

PyObject *heap_copy(PyObject *self, PyObject *unused) {
    PyObject *snapshot, *memories;
    (void)unused;
    if (!take_both((struct heap *)self, &snapshot, &memories)) return NULL;
    PyObject *copy = restore(Py_TYPE(self), memories, snapshot);
    Py_DECREF(memories);
    Py_DECREF(snapshot);
    return copy;
}

PyObject *heap_reduce(PyObject *self, PyObject *unused) {
    PyObject *snapshot, *memories, *result = NULL;
    (void)unused;
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
