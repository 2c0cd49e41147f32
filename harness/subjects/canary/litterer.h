// The litterer: a subject whose sends leave an entry in OpenSSL's error queue.
#pragma once

#include "harness/subjects/subject.h"

namespace rig {

// make_litterer wraps `inner`, which must outlive its use: each send that is not refused leaves an entry in the error
// queue of the thread that called it, as a layer does that overlooks an error of the library (curl/curl#11736). There
// is one litterer in the process.
const rig_subject* make_litterer(const rig_subject* inner);

}  // namespace rig
