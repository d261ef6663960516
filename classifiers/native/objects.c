/* Python objects as pointers with lengths: shared by all bindings. */
#include "bindings.h"

int takes(Py_ssize_t count, Py_ssize_t wanted) {
    if (count == wanted) return 0;
    PyErr_SetString(PyExc_TypeError, "a kernel was called with the wrong number of arguments");
    return -1;
}

int bytes_of(PyObject *object, const uint8_t **data, size_t *size) {
    Py_ssize_t length = 0;
    char *text = NULL;
    if (PyBytes_AsStringAndSize(object, &text, &length) != 0) return -1;
    *data = (const uint8_t *)text;
    *size = (size_t)length;
    return 0;
}

const void *hold(Arrays *arrays, PyObject *object, Py_ssize_t size) {
    if (arrays->count >= MOST_ARRAYS) {
        PyErr_SetString(PyExc_TypeError, "a kernel holds fewer arrays");
        return NULL;
    }
    Py_buffer *buffer = &arrays->held[arrays->count];
    if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) != 0) return NULL; /* contiguous, or an error */
    arrays->count++;
    if (size >= 0 && buffer->len != size) {
        PyErr_SetString(PyExc_ValueError, "an array of a model has the wrong size");
        return NULL;
    }
    return buffer->buf;
}

int keep(Arrays *arrays, PyObject *object) {
    if (arrays->objects >= MOST_OBJECTS) {
        PyErr_SetString(PyExc_TypeError, "a kernel holds fewer objects");
        return -1;
    }
    Py_IncRef(object);
    arrays->kept[arrays->objects++] = object;
    return 0;
}

PyObject *floats(const double *values, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t at = 0; list != NULL && at < count; at++) {
        PyObject *value = PyFloat_FromDouble(values[at]);
        if (value == NULL || PyList_SetItem(list, (Py_ssize_t)at, value)) {
            Py_DecRef(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *pair(size_t first, size_t second) {
    PyObject *both = PyTuple_New(2), *low = PyLong_FromSsize_t((Py_ssize_t)first);
    PyObject *high = PyLong_FromSsize_t((Py_ssize_t)second);
    if (both != NULL && low != NULL && high != NULL) { /* what is set belongs to the pair */
        PyTuple_SetItem(both, 0, low);
        PyTuple_SetItem(both, 1, high);
        return both;
    }
    if (both != NULL) Py_DecRef(both);
    if (low != NULL) Py_DecRef(low);
    if (high != NULL) Py_DecRef(high);
    return NULL;
}

PyObject *pairs(const size_t *values, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t at = 0; list != NULL && at < count; at++) {
        PyObject *both = pair(values[2 * at], values[2 * at + 1]);
        if (both == NULL || PyList_SetItem(list, (Py_ssize_t)at, both)) {
            Py_DecRef(list);
            return NULL;
        }
    }
    return list;
}

void release(Arrays *arrays) {
    while (arrays->objects > 0) Py_DecRef(arrays->kept[--arrays->objects]);
    while (arrays->count > 0) PyBuffer_Release(&arrays->held[--arrays->count]);
}
