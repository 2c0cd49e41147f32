// The house subject: our own layer behind the C ABI, and the same layer over plain TCP.
#pragma once

#include "harness/subjects/subject.h"

namespace rig {

// house_subject is harness/socket with every backend that is built in.
const rig_subject* house_subject();

// plain_subject is the same layer with the null engine only: plain TCP.
const rig_subject* plain_subject();

}  // namespace rig
