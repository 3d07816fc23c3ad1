/* What the files of the extension _formats share. Limited API of CPython 3.11, no static state. */
#ifndef RTOSHEAP_FORMATS_EXTENSION_H
#define RTOSHEAP_FORMATS_EXTENSION_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

/* All buffers that a call holds, to be released together. */
struct buffers {
    Py_buffer views[12];
    int count;
};

void *formats_array(struct buffers *buffers, PyObject *object, const char *name, Py_ssize_t item,
                    Py_ssize_t length, bool writable);
void formats_release(struct buffers *buffers);

/* text_binding.c */
PyObject *formats_scan_text(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *formats_scan_csv(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* log_binding.c; the first adds the type Log. */
int formats_add_log(PyObject *module);
PyObject *formats_find_sync(PyObject *module, PyObject *data);

#endif
