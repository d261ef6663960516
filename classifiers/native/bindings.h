/* What Python calls, one function a line; each file `*_binding.c` turns objects into pointers with lengths for one
 * concern. All of them are METH_FASTCALL. */
#ifndef GATEHOUSE_BINDINGS_H
#define GATEHOUSE_BINDINGS_H

#include "python_abi.h"

#define BOUND(name) PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t count)

BOUND(bound_features);
BOUND(bound_contents);
BOUND(bound_linear);
BOUND(bound_logit);

/* The bytes of a `bytes` object, or of a `str` in UTF-8. -1 with an error set where it is neither, or holds a lone
 * surrogate. They live as long as the object. */
int bytes_of(PyObject *object, const uint8_t **data, size_t *size);

/* A model in C: its arrays are buffers of Python objects, held until the capsule goes. */
enum { MOST_ARRAYS = 12 };
typedef struct {
    Py_buffer held[MOST_ARRAYS];
    int count;
} Arrays;

/* Hold the next array; NULL with an error set unless it is contiguous and of exactly `size` bytes (any size if < 0). */
const void *hold(Arrays *arrays, PyObject *object, Py_ssize_t size);
void release(Arrays *arrays);

/* Set a TypeError unless `count` is what a function takes. */
int takes(Py_ssize_t count, Py_ssize_t wanted);

#endif
