// The process's memory allocator.
#pragma once

namespace megin {

// Freed memory stays in the process from now on: a training allocates and frees the same large temporaries in
// every step, and giving them back to the system costs page faults (200,000 in an update of the smallest
// model).
void keep_freed_memory();

}  // namespace megin
