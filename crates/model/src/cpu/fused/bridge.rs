//! The border between Burn's graph and plain slices. No other file of this crate names a backend.

use burn::tensor::Tensor;

use super::host_op::HostOp;

#[cfg(feature = "flex")]
pub(crate) use host::{apply_host_op, in_host_memory, modify_in_place, read_values, supports_host_ops};

#[cfg(not(feature = "flex"))]
pub(crate) fn in_host_memory(_: &burn::tensor::Device) -> bool {
    false
}

#[cfg(not(feature = "flex"))]
pub(crate) fn supports_host_ops<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

#[cfg(not(feature = "flex"))]
pub(crate) fn apply_host_op<O: HostOp<N>, const N: usize>(
    _: O,
    _: [Tensor<2>; N],
    _: [usize; 2],
) -> Tensor<2> {
    unreachable!("no tensor is in the host's memory")
}

#[cfg(not(feature = "flex"))]
pub(crate) fn read_values<T>(_: Tensor<2>, _: impl FnOnce(&[f32]) -> T) -> T {
    unreachable!("no tensor is in the host's memory")
}

#[cfg(not(feature = "flex"))]
pub(crate) fn modify_in_place(_: Tensor<2>, _: impl FnOnce(&mut [f32])) -> Tensor<2> {
    unreachable!("no tensor is in the host's memory")
}

#[cfg(feature = "flex")]
mod host {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::flex::FlexTensor;
    use burn::backend::{Autodiff, DispatchDevice, Flex, GradientCheckpointingStrategy};
    use burn::tensor::{DType, Device, TensorData};

    use super::{HostOp, Tensor};

    /// Returns whether tensors of a device are in the process's memory.
    pub(crate) fn in_host_memory(device: &Device) -> bool {
        matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
    }

    /// Returns whether [`apply_host_op`] takes such tensors.
    pub(crate) fn supports_host_ops<const D: usize>(x: &Tensor<D>) -> bool {
        let device = x.device();
        // With Burn's checkpointing the graph has another type.
        let plain = device
            .gradient_checkpointing_strategy()
            .is_none_or(|strategy| strategy == GradientCheckpointingStrategy::Disabled);
        x.dtype() == DType::F32 && plain && in_host_memory(&device)
    }

    /// Returns the output of `op`, of the given shape, as a node in the graph of its inputs.
    pub(crate) fn apply_host_op<O: HostOp<N>, const N: usize>(
        op: O,
        inputs: [Tensor<2>; N],
        shape: [usize; 2],
    ) -> Tensor<2> {
        const ONE: &str = "inputs are f32 on one device";
        let tensor = |values| FlexTensor::from_data(TensorData::new(values, shape));
        if !inputs[0].device().is_autodiff() {
            let inputs = inputs.map(|x| x.try_into_primitive::<Flex>().expect(ONE).to_contiguous());
            return Tensor::from_primitive::<Flex>(tensor(op.forward(inputs.each_ref().map(slice)).0));
        }
        let mut guards = Vec::with_capacity(N);
        let inputs = inputs.map(|x| {
            let (values, guard) = x.try_into_primitive::<Autodiff<Flex>>().expect(ONE).into_parts();
            guards.push(guard);
            values.to_contiguous()
        });
        let (output, saved) = op.forward(inputs.each_ref().map(slice));
        let guards = guards.try_into().expect("one guard per input");
        let node = match Node(op).prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish((inputs, saved), tensor(output)),
            OpsKind::UnTracked(node) => node.finish(tensor(output)),
        };
        Tensor::from_primitive::<Autodiff<Flex>>(node)
    }

    const PLAIN: &str = "f32 on this device, without a graph";

    /// Returns the result of `read` on the values of a tensor without a graph.
    pub(crate) fn read_values<T>(x: Tensor<2>, read: impl FnOnce(&[f32]) -> T) -> T {
        read(slice(&x.try_into_primitive::<Flex>().expect(PLAIN).to_contiguous()))
    }

    /// Changes the values of a tensor without a graph, in place unless its memory is shared.
    pub(crate) fn modify_in_place(x: Tensor<2>, modify: impl FnOnce(&mut [f32])) -> Tensor<2> {
        let shape = x.dims();
        let mut x = x.try_into_primitive::<Flex>().expect(PLAIN).to_contiguous();
        // A view of something larger is copied.
        if x.storage::<f32>().len() != shape[0] * shape[1] {
            x = FlexTensor::from_data(TensorData::new(slice(&x).to_vec(), shape));
        }
        modify(x.storage_mut());
        Tensor::from_primitive::<Flex>(x)
    }

    fn slice(tensor: &FlexTensor) -> &[f32] {
        tensor.as_slice().expect("contiguous f32")
    }

    #[derive(Debug)]
    struct Node<O>(O);

    impl<O: HostOp<N>, const N: usize> Backward<Flex, N> for Node<O> {
        type State = ([FlexTensor; N], O::Saved);

        fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
            let (inputs, saved) = &ops.state;
            let input_grads = self.0.backward(inputs.each_ref().map(slice), saved, slice(&grad));
            for ((parent, input), grad) in ops.parents.into_iter().zip(inputs).zip(input_grads) {
                if let Some(parent) = parent {
                    let shape = input.layout().shape().clone();
                    grads.register::<Flex>(parent.id, FlexTensor::from_data(TensorData::new(grad, shape)));
                }
            }
        }
    }
}
