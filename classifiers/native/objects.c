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

void release(Arrays *arrays) {
    while (arrays->count > 0) PyBuffer_Release(&arrays->held[--arrays->count]);
}
