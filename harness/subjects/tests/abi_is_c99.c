/* Compiled as C99 with -pedantic: subject.h needs nothing but a C compiler. */
#include "harness/subjects/subject.h"

const rig_subject* tlsrig_abi_probe(const rig_subject* subject);

const rig_subject* tlsrig_abi_probe(const rig_subject* subject) {
  return subject->abi == RIG_SUBJECT_ABI ? subject : NULL;
}
