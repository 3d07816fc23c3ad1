/* rtosheap._formats: what rtosheap.traces does for each event of a trace. */
#include "extension.h"

#include <stdlib.h>

#include "rh_link.h"

/* The memory of a C-contiguous array of `length` items of `item` bytes; NULL with an exception.
 * length < 0 takes any. */
void *formats_array(struct buffers *buffers, PyObject *object, const char *name, Py_ssize_t item,
                    Py_ssize_t length, bool writable) {
    Py_buffer *view = &buffers->views[buffers->count];
    const int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) != 0) return NULL;
    buffers->count++;
    if (view->itemsize != item || (length >= 0 && view->len / item != length) ||
        (view->len != 0 && (uintptr_t)view->buf % (uintptr_t)item != 0)) {
        PyErr_Format(PyExc_ValueError, "%s must be an aligned array of %zd items of %zd bytes",
                     name, length < 0 ? view->len / item : length, item);
        return NULL;
    }
    return view->len != 0 ? view->buf : (void *)view; /* an empty array is no NULL */
}

void formats_release(struct buffers *buffers) {
    while (buffers->count > 0)
        PyBuffer_Release(&buffers->views[--buffers->count]);
}

static PyObject *find_no_op(PyObject *module, PyObject *op) {
    (void)module;
    struct buffers buffers = {.count = 0};
    const uint8_t *letters = formats_array(&buffers, op, "op", 1, -1, false);
    const size_t count = letters != NULL ? (size_t)buffers.views[0].len : 0;
    const size_t at = letters != NULL ? rh_find_no_op(letters, count) : 0;
    formats_release(&buffers);
    if (letters == NULL) return NULL;
    return at == count ? Py_NewRef(Py_None) : PyLong_FromSize_t(at);
}

/* Takes op, id, size, previous, bad; false with an exception. */
static bool take_links(struct buffers *buffers, PyObject *const *args, struct rh_links *links) {
    links->op = formats_array(buffers, args[0], "op", 1, -1, false);
    if (links->op == NULL) return false;
    const Py_ssize_t events = buffers->views[0].len;
    links->events = (size_t)events;
    links->id = formats_array(buffers, args[1], "id", 8, events, false);
    if (links->id == NULL) return false;
    links->size = formats_array(buffers, args[2], "size", 8, events, false);
    if (links->size == NULL) return false;
    const bool wide = events > INT32_MAX;
    void *previous = formats_array(buffers, args[3], "previous", wide ? 8 : 4, events, true);
    if (previous == NULL) return false;
    if (wide)
        links->previous64 = previous;
    else
        links->previous32 = previous;
    if (args[4] != Py_None) links->bad = formats_array(buffers, args[4], "bad", 1, events, true);
    return args[4] == Py_None || links->bad != NULL;
}

static PyObject *link_events(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "link(op, id, size, previous, bad, room)");
        return NULL;
    }
    struct buffers buffers = {.count = 0};
    struct rh_links links = {0};
    PyObject *result = NULL;
    links.room = PyLong_AsSize_t(args[5]);
    if (PyErr_Occurred() || !take_links(&buffers, args, &links)) goto done;
    void *last = calloc(links.room + 1, links.previous64 != NULL ? 8 : 4);
    if (last == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    bool known;
    Py_BEGIN_ALLOW_THREADS;
    known = rh_link(&links, last);
    free(last);
    Py_END_ALLOW_THREADS;
    if (known)
        result = Py_BuildValue("(LL)", (long long)links.first_sized, (long long)links.first_bad);
    else
        PyErr_Format(PyExc_ValueError, "an id is not below %zu", links.room);
done:
    formats_release(&buffers);
    return result;
}

static PyObject *rank_ids(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "rank(id, rank, seed)");
        return NULL;
    }
    struct buffers buffers = {.count = 0};
    struct rh_ranks ranks = {.seed = PyLong_AsUnsignedLongLongMask(args[2])};
    PyObject *result = NULL;
    const int64_t *id =
        PyErr_Occurred() ? NULL : formats_array(&buffers, args[0], "id", 8, -1, false);
    if (id == NULL) goto done;
    const Py_ssize_t events = buffers.views[0].len / 8;
    int64_t *rank = formats_array(&buffers, args[1], "rank", 8, events, true);
    if (rank == NULL) goto done;
    bool enough;
    Py_BEGIN_ALLOW_THREADS;
    enough = rh_rank(&ranks, id, (size_t)events, rank);
    Py_END_ALLOW_THREADS;
    if (enough)
        result = PyBytes_FromStringAndSize((const char *)ranks.ids, (Py_ssize_t)(8 * ranks.count));
    else
        PyErr_NoMemory();
    rh_ranks_drop(&ranks);
done:
    formats_release(&buffers);
    return result;
}

static PyMethodDef methods[] = {
    {"find_no_op", find_no_op, METH_O, NULL},
    {"find_sync", formats_find_sync, METH_O, NULL},
    {"link", (PyCFunction)(void (*)(void))link_events, METH_FASTCALL, NULL},
    {"rank", (PyCFunction)(void (*)(void))rank_ids, METH_FASTCALL, NULL},
    {"scan_csv", (PyCFunction)(void (*)(void))formats_scan_csv, METH_FASTCALL, NULL},
    {"scan_text", (PyCFunction)(void (*)(void))formats_scan_text, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, formats_add_log},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rtosheap._formats",
    .m_doc = "What rtosheap.traces does for each event.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__formats(void);
PyMODINIT_FUNC PyInit__formats(void) {
    return PyModuleDef_Init(&definition);
}
