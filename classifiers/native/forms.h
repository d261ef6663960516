/* Which form a prompt has, as classifiers/forms.py says of text that is ASCII. */
#ifndef GATEHOUSE_FORMS_H
#define GATEHOUSE_FORMS_H

#include <stddef.h>
#include <stdint.h>

enum { FORM_OPEN, FORM_CHOICE, FORM_SUM };

/* Linear in `size`. */
int form_of(const uint8_t *data, size_t size);

#endif
