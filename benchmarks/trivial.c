/* The least that a malloc and a free can do: the ints in and out that a heap's have, and no heap.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *first(PyObject *self, PyObject *argument) {
    (void)self;
    unsigned long long value = PyLong_AsUnsignedLongLong(argument);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    return PyLong_FromUnsignedLongLong(0x20000000 + value);
}

static PyObject *second(PyObject *self, PyObject *argument) {
    (void)self;
    unsigned long long value = PyLong_AsUnsignedLongLong(argument);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"first", first, METH_O, NULL},
    {"second", second, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec spec = {"trivial.Trivial", 0, 0, Py_TPFLAGS_DEFAULT, slots};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL) return -1;
    int result = PyModule_AddObjectRef(module, "Trivial", type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "trivial",
                                    .m_slots = module_slots};

PyMODINIT_FUNC PyInit_trivial(void);
PyMODINIT_FUNC PyInit_trivial(void) {
    return PyModuleDef_Init(&module);
}
