// Rows, packed weights and their product (src/matrix), by the names of this folder.
#pragma once

#include "matrix/packed_product.h"
#include "matrix/rows.h"

namespace megin::runtime {

using matrix::ConstRows;
using matrix::multiply;
using matrix::PackedMatrix;
using matrix::RowBuffer;
using matrix::Rows;

}  // namespace megin::runtime
