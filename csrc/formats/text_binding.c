#include "extension.h"

#include "rh_text.h"

/* A Python callable's int for a name, which is None for one that is not usual. */
static int32_t ask(void *callable, const uint8_t *name, size_t length) {
    PyObject *answer =
        PyObject_CallFunction(callable, "y#", (const char *)name, (Py_ssize_t)length);
    if (answer == NULL) return -2;
    const long code = answer != Py_None ? PyLong_AsLong(answer) : -1;
    Py_DECREF(answer);
    if (PyErr_Occurred()) return -2;
    return code >= 0 && code <= INT32_MAX ? (int32_t)code : -1;
}

/* Takes op, id, size, time, timed, task, lines, address; false with an exception. */
static bool take_columns(struct buffers *buffers, PyObject *columns, struct rh_text *text) {
    static const char *const names[] = {"op",    "id",   "size",  "time",
                                        "timed", "task", "lines", "address"};
    static const Py_ssize_t items[] = {1, 8, 8, 8, 1, 4, 8, 8};
    enum { COLUMNS = sizeof items / sizeof items[0] };
    void *taken[COLUMNS] = {NULL};
    Py_ssize_t room = -1;
    if (!PyTuple_Check(columns) || PyTuple_Size(columns) != COLUMNS) {
        PyErr_SetString(PyExc_TypeError, "columns must be a tuple of 8");
        return false;
    }
    for (int i = 0; i < COLUMNS; i++) {
        PyObject *column = PyTuple_GetItem(columns, i);
        if (i == COLUMNS - 1 && column == Py_None) continue;
        taken[i] = formats_array(buffers, column, names[i], items[i], room, true);
        if (taken[i] == NULL) return false;
        if (i == 0) room = buffers->views[buffers->count - 1].len;
    }
    text->room = (size_t)room;
    text->op = taken[0];
    text->id = taken[1];
    text->size = taken[2];
    text->time = taken[3];
    text->timed = taken[4];
    text->task = taken[5];
    text->lines = taken[6];
    text->address = taken[7];
    text->addressed = taken[7] != NULL;
    return true;
}

/* Takes the eight arguments of scan_text(); false with an exception. */
static bool take_text(struct buffers *buffers, PyObject *const *args, struct rh_text *text) {
    *text = (struct rh_text){.code_of = ask, .context = args[6]};
    text->at = PyLong_AsSize_t(args[1]);
    text->length = PyErr_Occurred() ? 0 : PyLong_AsSize_t(args[2]);
    text->line = PyErr_Occurred() ? 0 : PyLong_AsLongLong(args[3]);
    text->count = PyErr_Occurred() ? 0 : PyLong_AsSize_t(args[4]);
    text->seed = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLongMask(args[7]);
    if (PyErr_Occurred()) return false;
    text->data = formats_array(buffers, args[0], "data", 1, -1, false);
    if (text->data == NULL || !take_columns(buffers, args[5], text)) return false;
    if (text->length <= (size_t)buffers->views[0].len && text->at <= text->length &&
        text->count <= text->room)
        return true;
    PyErr_SetString(PyExc_ValueError, "at, end and count must lie within data and columns");
    return false;
}

static PyObject *scanned(enum rh_scan result, const struct rh_text *text) {
    if (result == RH_SCAN_FAILED) return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    return Py_BuildValue("(nLn)", (Py_ssize_t)text->at, (long long)text->line,
                         (Py_ssize_t)text->count);
}

PyObject *formats_scan_text(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 8) {
        PyErr_SetString(PyExc_TypeError,
                        "scan_text(data, at, end, line, count, columns, code_of, seed)");
        return NULL;
    }
    struct buffers buffers = {.count = 0};
    struct rh_text text;
    PyObject *result = NULL;
    if (take_text(&buffers, args, &text)) result = scanned(rh_text_scan(&text), &text);
    formats_release(&buffers);
    return result;
}

/* Whether a row's cells are each one that there is, and op, id and size are among them. */
static bool is_order(const uint8_t *order, size_t cells) {
    unsigned found = 0;
    for (size_t i = 0; i < cells; i++) {
        if (order[i] >= RH_CELLS || (found >> order[i] & 1)) return false;
        found |= 1u << order[i];
    }
    return (found & 7) == 7;
}

PyObject *formats_scan_csv(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError,
                        "scan_csv(order, data, at, end, line, count, columns, code_of, seed)");
        return NULL;
    }
    struct buffers buffers = {.count = 0};
    struct rh_text text;
    PyObject *result = NULL;
    const uint8_t *order = formats_array(&buffers, args[0], "order", 1, -1, false);
    const size_t cells = order != NULL ? (size_t)buffers.views[0].len : 0;
    struct buffers others = {.count = 0};
    if (order != NULL && !is_order(order, cells))
        PyErr_SetString(PyExc_ValueError, "order must name op, id and size, and no cell twice");
    else if (order != NULL && take_text(&others, args + 1, &text))
        result = scanned(rh_csv_scan(&text, order, cells), &text);
    formats_release(&others);
    formats_release(&buffers);
    return result;
}
