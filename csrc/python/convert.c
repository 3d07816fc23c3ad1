#include "extension.h"

#include <stdio.h>

PyObject *hexadecimal(uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "0x%08llx", (unsigned long long)value);
    return PyUnicode_FromString(text);
}

PyObject *number_or_none(bool known, uint64_t value) {
    return known ? PyLong_FromUnsignedLongLong(value) : Py_NewRef(Py_None);
}

/* A new reference to an int, or NULL with a TypeError that names the argument. */
static PyObject *convert_int(PyObject *object, const char *name) {
    if (PyLong_Check(object)) return Py_NewRef(object);
    if (!PyIndex_Check(object)) {
        PyObject *type = PyType_GetName(Py_TYPE(object));
        if (type != NULL) {
            PyErr_Format(PyExc_TypeError, "%s must be an int, not %U (%R)", name, type, object);
            Py_DECREF(type);
        }
        return NULL;
    }
    return PyNumber_Index(object);
}

/* -1 below 0, 1 above 64 bits, 0 with the value; -2 with an exception. */
static int fits_64_bits(PyObject *integer, uint64_t *value) {
    *value = PyLong_AsUnsignedLongLong(integer);
    if (*value != (uint64_t)-1 || !PyErr_Occurred()) return 0;
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -2;
    PyErr_Clear();
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL) return -2;
    int negative = PyObject_RichCompareBool(integer, zero, Py_LT);
    Py_DECREF(zero);
    if (negative < 0) return -2;
    return negative ? -1 : 1;
}

/* The int as a message shows it; one of thousands of digits has no decimal text in Python. */
static PyObject *int_text(PyObject *integer, int fits) {
    if (fits == 0) return PyObject_Str(integer);
    PyObject *text = PyObject_Str(integer);
    if (text != NULL && PyUnicode_GetLength(text) <= 40) return text;
    Py_XDECREF(text);
    PyErr_Clear();
    return PyUnicode_FromString(fits < 0 ? "an int far below 0" : "an int of more than 64 bits");
}

static bool convert(PyObject *object, const char *name, uint64_t max, uint64_t *value,
                    bool is_size) {
    PyObject *integer = convert_int(object, name);
    if (integer == NULL) return false;
    int fits = fits_64_bits(integer, value);
    if (fits == 0 && *value > max) fits = 1;
    PyObject *text = fits == -1 || fits == 1 ? int_text(integer, fits) : NULL;
    if (text != NULL && fits == -1)
        PyErr_Format(PyExc_ValueError, "%s must not be negative, got %U", name, text);
    else if (text != NULL)
        PyErr_Format(is_size ? PyExc_OverflowError : PyExc_ValueError,
                     is_size ? "%s must fit the target's size_t, at most %llu, got %U"
                             : "%s must be at most %llu for this word_size, got %U",
                     name, (unsigned long long)max, text);
    Py_XDECREF(text);
    Py_DECREF(integer);
    return fits == 0;
}

bool convert_size(PyObject *object, const char *name, uint64_t max, uint64_t *value) {
    if (PyLong_CheckExact(object)) {
        *value = PyLong_AsUnsignedLongLong(object);
        if (*value <= max && *value != (uint64_t)-1) return true;
        PyErr_Clear();
    }
    return convert(object, name, max, value, true);
}

bool convert_option(PyObject *object, const char *name, uint64_t max, uint64_t *value) {
    return convert(object, name, max, value, false);
}

bool convert_address(PyObject *object, struct given_address *address) {
    if (PyLong_CheckExact(object)) {
        address->value = PyLong_AsUnsignedLongLong(object);
        address->is_word = address->value != (uint64_t)-1; /* where no block starts either */
        if (!address->is_word) PyErr_Clear();
        return true;
    }
    PyObject *integer = convert_int(object, "address");
    if (integer == NULL) return false;
    int fits = fits_64_bits(integer, &address->value);
    Py_DECREF(integer);
    address->is_word = fits == 0;
    return fits != -2;
}
