#include "extension.h"

bool heap_ready(const struct heap *heap) {
    if (!heap->busy) return true;
    PyErr_SetString(PyExc_RuntimeError, "the heap is busy: a trace is being replayed on it");
    return false;
}

bool heap_has_arena(const struct heap *heap, const char *what) {
    if (heap->ops != NULL && heap->state != NULL) return true;
    if (heap->busy) return heap_ready(heap);
    PyErr_Format(PyExc_NotImplementedError,
                 "%s is not available for Heap3.host(): the C library does not tell", what);
    return false;
}

bool heap_ready_arena(const struct heap *heap, const char *what) {
    return heap_has_arena(heap, what) && heap_ready(heap);
}

static const char *rule_name(enum rh_rule rule) {
    switch (rule) {
    case RH_RULE_NONE: return "none";
    case RH_RULE_OVERWRITTEN: return "overwritten";
    case RH_RULE_SIZE: return "size";
    case RH_RULE_LINK: return "link";
    case RH_RULE_LIVE_LINK: return "live link";
    case RH_RULE_ORDER: return "order";
    case RH_RULE_NOT_FREE: return "not free";
    case RH_RULE_NOT_LISTED: return "not listed";
    case RH_RULE_NOT_COALESCED: return "not coalesced";
    case RH_RULE_END_MARKER: return "end marker";
    case RH_RULE_FREE_SIZE: return "free size";
    }
    return "unknown";
}

static const char *rule_text(enum rh_rule rule) {
    switch (rule) {
    case RH_RULE_NONE: return "nothing is wrong with";
    case RH_RULE_OVERWRITTEN: return "overwritten:";
    case RH_RULE_SIZE: return "holds an impossible size:";
    case RH_RULE_LINK: return "links to no free block:";
    case RH_RULE_LIVE_LINK: return "of an allocated block holds a link:";
    case RH_RULE_ORDER: return "is out of the free list's order:";
    case RH_RULE_NOT_FREE: return "of an allocated block is in the free list:";
    case RH_RULE_NOT_LISTED: return "of a free block is not in the free list:";
    case RH_RULE_NOT_COALESCED: return "follows a free block that it was not merged with:";
    case RH_RULE_END_MARKER: return "is no end marker:";
    case RH_RULE_FREE_SIZE: return "and others do not add up to the free size:";
    }
    return "";
}

static bool set_attribute(PyObject *error, const char *name, PyObject *value) {
    if (value == NULL) return false;
    int result = PyObject_SetAttrString(error, name, value);
    Py_DECREF(value);
    return result == 0;
}

static PyObject *address_or_none(bool known, uint64_t address) {
    return known ? PyLong_FromUnsignedLongLong(address) : Py_NewRef(Py_None);
}

static PyObject *fault_message(const struct rh_fault64 *fault, int64_t event) {
    char found[80], place[80];
    PyOS_snprintf(found, sizeof found, "0x%08llx 0x%08llx for 0x%08llx 0x%08llx",
                  (unsigned long long)fault->found[0], (unsigned long long)fault->found[1],
                  (unsigned long long)fault->expected[0], (unsigned long long)fault->expected[1]);
    if (fault->has_previous)
        PyOS_snprintf(place, sizeof place, "the block before it, at 0x%08llx, ends there",
                      (unsigned long long)fault->previous);
    else
        PyOS_snprintf(place, sizeof place, "no block lies before it");
    PyObject *address = hexadecimal(fault->address);
    if (address == NULL) return NULL;
    PyObject *message =
        fault->rule == RH_RULE_OVERWRITTEN
            ? PyUnicode_FromFormat("%s at %U overwritten; %s; it holds %s",
                                   fault->is_marker ? "end marker" : "header of the block", address,
                                   place, found)
            : PyUnicode_FromFormat("%s at %U %s rule \"%s\" broken; %s",
                                   fault->is_marker ? "end marker" : "header of the block", address,
                                   rule_text(fault->rule), rule_name(fault->rule), place);
    Py_DECREF(address);
    if (message != NULL && event >= 0) {
        PyObject *with_event =
            PyUnicode_FromFormat("%U (at event %lld)", message, (long long)event);
        Py_DECREF(message);
        message = with_event;
    }
    return message;
}

PyObject *heap_raise_corruption(struct heap *heap, const struct rh_fault64 *fault, int64_t event) {
    PyObject *message = fault_message(fault, event);
    if (message == NULL) return NULL;
    PyObject *error = PyObject_CallFunctionObjArgs(heap->core->corruption_error, message, NULL);
    Py_DECREF(message);
    if (error == NULL) return NULL;
    if (set_attribute(error, "address", PyLong_FromUnsignedLongLong(fault->address)) &&
        set_attribute(error, "previous", address_or_none(fault->has_previous, fault->previous)) &&
        set_attribute(error, "rule", PyUnicode_FromString(rule_name(fault->rule))) &&
        set_attribute(error, "event", event < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(event)))
        PyErr_SetObject(heap->core->corruption_error, error);
    Py_DECREF(error);
    return NULL;
}

PyObject *heap_raise_last_fault(struct heap *heap, int64_t event) {
    struct rh_fault64 fault;
    heap->ops->last_fault(heap->state, &fault);
    return heap_raise_corruption(heap, &fault, event);
}

static PyObject *address_text(struct given_address address) {
    if (address.is_word) return hexadecimal(address.value);
    return PyUnicode_FromString("an int that is no address");
}

PyObject *heap_raise_free(const struct heap *heap, struct given_address address,
                          enum rh_status status) {
    PyObject *text = address_text(address);
    if (text == NULL) return NULL;
    if (heap->ops != NULL && heap->ops->kind == 1)
        PyErr_Format(heap->core->invalid_free_error, "free(%U): heap_1 cannot free", text);
    else if (status == RH_DOUBLE_FREE)
        PyErr_Format(heap->core->double_free_error,
                     "free(%U): the block was freed before, and malloc has not returned that "
                     "address since",
                     text);
    else
        heap_raise_not_live(heap, "free", address, status);
    Py_DECREF(text);
    return NULL;
}

PyObject *heap_raise_not_live(const struct heap *heap, const char *method,
                              struct given_address address, enum rh_status status) {
    PyObject *text = address_text(address);
    if (text == NULL) return NULL;
    PyErr_Format(heap->core->invalid_free_error, "%s(%U): not the address of a live block%s",
                 method, text, status == RH_DOUBLE_FREE ? " (it was freed)" : "");
    Py_DECREF(text);
    return NULL;
}
