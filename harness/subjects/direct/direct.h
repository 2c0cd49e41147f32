// The direct subject: a layer whose TLS library reads and writes the descriptor itself.
#pragma once

#include "harness/subjects/subject.h"

namespace rig {

// direct_subject has every library that the build has a file for.
const rig_subject* direct_subject();

}  // namespace rig
