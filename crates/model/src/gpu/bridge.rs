//! The border between Burn's tensors and buffers on a GPU.

use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, kernel};
use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{BufferArg, TensorBinding};
use cubecl::server::Handle;
use cubecl::zspace::Tiling;

/// Holds memory on the device.
#[derive(Clone)]
pub(super) struct Buffer(Handle);

impl Buffer {
    pub(super) fn new(handle: Handle) -> Self {
        Self(handle)
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// Returns it as an argument of a kernel, whose length is that of the memory.
    pub(super) fn arg(&self) -> BufferArg {
        let binding = TensorBinding {
            handle: self.0.clone().binding(),
            strides: [1].into(),
            shape: [1].into(),
            tiling: Tiling::UNTILED,
        };
        binding.into_buffer_arg()
    }
}

/// Holds a matrix on the device, row by row.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) buffer: Buffer,
    /// `[rows, columns]`.
    pub(super) shape: [usize; 2],
    /// Numbers from a row to the next one, which some devices align.
    pub(super) stride: usize,
}

/// Returns the client of a tensor's device, unless the device is no GPU of CubeCL's, or tracks gradients.
pub(super) fn client(tensor: &Tensor<2>) -> Option<Client> {
    Some(resolved(tensor.clone())?.client)
}

/// Returns the values of a vector.
pub(super) fn vector(tensor: Tensor<1>) -> Option<Buffer> {
    Some(Buffer(kernel::into_contiguous(resolved(tensor)?).handle))
}

/// Returns the memory of a matrix itself, unless its rows aren't in order; then a copy.
pub(super) fn matrix(tensor: Tensor<2>) -> Option<Matrix> {
    let mut tensor = resolved(tensor)?;
    let in_order = |tensor: &CubeTensor| {
        let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
        strides[1] == 1 && strides[0] >= shape[1]
    };
    if tensor.meta.is_tiled() || !in_order(&tensor) {
        tensor = kernel::into_contiguous(tensor);
    }
    let shape = [tensor.meta.shape()[0], tensor.meta.shape()[1]];
    let stride = if shape[0] == 1 { shape[1] } else { tensor.meta.strides()[0] };
    Some(Matrix { buffer: Buffer(tensor.handle), shape, stride })
}

/// Returns a copy whose rows follow each other without a gap.
pub(super) fn packed(tensor: Tensor<2>) -> Option<Matrix> {
    let tensor = kernel::into_contiguous(resolved(tensor)?);
    let shape = [tensor.meta.shape()[0], tensor.meta.shape()[1]];
    Some(Matrix { buffer: Buffer(tensor.handle), shape, stride: shape[1] })
}

/// Returns the type of numbers in kernels; none for one that they don't read.
pub(super) fn element(dtype: DType) -> Option<ElemType> {
    let float = match dtype {
        DType::F32 => FloatKind::F32,
        DType::BF16 => FloatKind::BF16,
        DType::F16 => FloatKind::F16,
        _ => return None,
    };
    Some(ElemType::Float(float))
}

#[cfg(not(feature = "gpu-fusion"))]
fn resolved<const D: usize>(tensor: Tensor<D>) -> Option<CubeTensor> {
    tensor.try_into_primitive::<Cube>().ok()
}

/// Waits until operations that Burn holds back are launched.
#[cfg(feature = "gpu-fusion")]
fn resolved<const D: usize>(tensor: Tensor<D>) -> Option<CubeTensor> {
    let tensor = tensor.try_into_primitive::<Cube>().ok()?;
    let client = tensor.client.clone();
    Some(client.resolve_tensor_float::<burn_cubecl::CubeBackend>(tensor))
}
