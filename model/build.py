"""From a ModelConfig to a Megatron GPTModel whose forward gives hidden states, over any parallel layout.

Legend of shape suffixes: B rows, T tokens of a row, H hidden size, V vocabulary, E experts, L expert layers.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt import GPTModel
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.tensor_parallel import gather_from_sequence_parallel_region
from torch import Tensor

from model import parallel as world
from model import specs, weights
from model.attention import documents
from model.config import Llama3Rope, ModelConfig
from model.convert.names import Head
from model.experts import Router
from model.layout import Parallel
from model.losses.types import Hidden


class RigorModel(GPTModel):
    """A Megatron GPTModel whose forward stops at the hidden states (logits are never materialised).

    `rigor` is the ModelConfig it was built from, `parallel` its layout, `config` Megatron's own TransformerConfig.
    """

    rigor: ModelConfig
    parallel: Parallel
    head: Head

    def forward(self, tokens_BT: Tensor, document_BT: Tensor) -> Hidden | Tensor:
        """Hidden states of packed rows.

        Args:
            tokens_BT: int64 token ids; T must be a multiple of the tensor parallel size.
            document_BT: int64 index of the document of each token in its row, -1 for padding. Attention is causal and
                never leaves a document (a run of equal indices). Rotary positions are relative: none are asked for.

        Returns:
            `Hidden` on the last pipeline stage, on others the tensor [T,B,H] for the next stage.
        """
        self._tell_routers(document_BT)
        if tokens_BT.is_cuda:
            mask, packed = None, _packed(document_BT)
            rows, tokens_BT, document_BT = tokens_BT.shape, tokens_BT.reshape(1, -1), document_BT.reshape(1, -1)
        else:
            rows, mask, packed = tokens_BT.shape, documents(document_BT, self.config.params_dtype), None
        embedded = self.embedding(tokens_BT, None) if self.pre_process else None
        rotary = None
        if not self.config.multi_latent_attention:
            length = tokens_BT.shape[1] if packed is None else packed.max_seqlen_q
            rotary = self.rotary_pos_emb(length, packed_seq=packed is not None)
        common = {"attention_mask": mask, "rotary_pos_emb": rotary, "packed_seq_params": packed}
        hidden: Tensor = self.decoder(hidden_states=embedded, **common)
        if not self.post_process:
            return hidden
        states = [hidden]
        if self.mtp_process:
            # The module shifts the tokens left by itself; one that begins a document must not be seen from before it.
            inside_BT = document_BT == document_BT.roll(1, dims=1)
            following_BT = tokens_BT * inside_BT
            both = self.mtp(following_BT, following_BT, hidden, embedding=self.embedding, **common)
            states = list(torch.chunk(both, 1 + self.config.mtp_num_layers, dim=0))
        if self.config.sequence_parallel:
            states = [gather_from_sequence_parallel_region(s, tensor_parallel_output_grad=False) for s in states]
        main_BTH, *mtp = [s.transpose(0, 1).reshape(*rows, -1) for s in states]
        return Hidden(main_BTH, tuple(mtp))

    def head_weight(self) -> Tensor:
        """The output head's weight, [V / tensor parallel size, H] (the embedding's where they are tied), or [1, H].

        Raises:
            ValueError: this pipeline stage has no head.
        """
        if not self.post_process:
            raise ValueError("only the last pipeline stage has a head")
        tied = self.share_embeddings_and_output_weights
        weight: Tensor = self.shared_embedding_or_output_weight() if tied else self.output_layer.weight
        return weight

    def _tell_routers(self, document_BT: Tensor) -> None:
        """Which tokens of this micro batch are padding; a tensor rank routes its own part of each row."""
        routers = routers_of(self)
        if not routers:
            return
        padding_TB, live_B = (document_BT < 0).t(), (document_BT >= 0).sum(dim=1)
        if document_BT.is_cuda:  # all rows are one there
            padding_TB, live_B = (document_BT < 0).reshape(-1, 1), live_B.sum(dim=0, keepdim=True)
        if self.parallel.tensor > 1:
            padding_TB = padding_TB.chunk(self.parallel.tensor)[parallel_state.get_tensor_model_parallel_rank()]
        some = bool((live_B < document_BT.numel() // len(live_B)).any())
        for router in routers:
            router.padding_TB, router.live_B = padding_TB if some else None, live_B


def _packed(document_BT: Tensor) -> PackedSeqParams:
    """The documents of all rows, one after another, as Transformer Engine's attention wants them."""
    flat, row = document_BT.flatten(), document_BT.shape[1]
    begins = torch.ones_like(flat, dtype=torch.bool)
    begins[1:] = flat[1:] != flat[:-1]
    begins[::row] = True
    end = torch.tensor([flat.numel()], device=flat.device)
    starts = torch.cat([begins.nonzero().flatten(), end]).to(torch.int32)
    longest = int(starts.diff().max())
    return PackedSeqParams("thd", starts, starts, max_seqlen_q=longest, max_seqlen_kv=longest)


def build(
    config: ModelConfig,
    parallel: Parallel | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    head: Head = "tokens",
) -> RigorModel:
    """A model with fresh weights, which depend on the seed alone and not on the layout.

    Starts a world of one where none was started (`model.parallel.start`). A model with a `score` head is a reward
    model; every tensor rank holds the whole head.

    Raises:
        ValueError: the config cannot be laid out so (sizes that do not divide), or `start` was told another layout;
            or a score with an MTP module, which predicts tokens.
    """
    parallel = parallel or Parallel()
    if head == "score" and config.mtp_layers:
        raise ValueError("a reward model predicts no token: its shape has no mtp_layers (`convert.scorer_shape`)")
    if world.laid() is None:
        world.start(parallel, seed)
    if world.laid() != parallel:
        raise ValueError(f"the processes are laid out as {world.laid()!r}, the model is asked for as {parallel!r}")
    transformer = specs.transformer_config(config, parallel, dtype)
    decoder, mtp = specs.layers(config, transformer)
    model = RigorModel(
        transformer,
        decoder,
        vocab_size=config.vocab_size,
        max_sequence_length=config.max_positions,
        pre_process=world.is_first_stage(),
        post_process=world.is_last_stage(),
        share_embeddings_and_output_weights=config.tie_embeddings and head == "tokens",
        position_embedding_type="rope",
        rotary_base=config.rope_theta,
        mtp_block_spec=mtp,
    )
    model.rigor, model.parallel, model.head = config, parallel, head
    if head == "score" and model.post_process:
        model.output_layer = torch.nn.Linear(config.hidden_size, 1, bias=False, dtype=dtype)
    if isinstance(config.rope_scaling, Llama3Rope):
        _stretch(model, config.rope_scaling)
    weights.fill(model, config, seed)
    return model


def _stretch(model: RigorModel, scaling: Llama3Rope) -> None:
    """Llama 3.1's frequencies: Megatron's own formula with our numbers (its constructor fixes all but the factor)."""
    rotary = model.rotary_pos_emb
    rotary.inv_freq = rotary._apply_scaling(
        rotary.inv_freq,
        scaling.factor,
        scaling.low_freq_factor,
        scaling.high_freq_factor,
        scaling.original_positions,
    )


def wrap(model: RigorModel) -> DistributedDataParallel:
    """Megatron's data parallelism around a model: gradients lie in `param.main_grad` (fp32), reduced by `finish`.

    Gradients are SUMMED over micro batches and ranks, then divided by the number of tokens given to `finish`: the
    loss function hands Megatron's schedule (sum over tokens, count, parts), see `calculate_per_token_loss`.
    Call `zero_grad_buffer()` on the result before each step.

    Args:
        model: on its device already.
    """
    options = DistributedDataParallelConfig(grad_reduce_in_fp32=True, average_in_collective=False)
    model.config.finalize_model_grads_func = finalize_model_grads
    return DistributedDataParallel(model.config, options, model)


def finish(models: list[DistributedDataParallel], token_count: Tensor | None) -> None:
    """Reduce gradients over all groups, divide them by the tokens, move the expert biases.

    Megatron's schedule calls the same function by itself; without the schedule call this after backward.

    Args:
        models: as `wrap` returned them.
        token_count: scalar, this rank's number of loss tokens; summed over ranks in place. None: no division.
    """
    finalize_model_grads(models, token_count)


def routers_of(model: torch.nn.Module) -> list[Router]:
    """The routers of this stage's layers, in order, the MTP module's last."""
    return [module for module in model.modules() if isinstance(module, Router)]


def set_bias_rate(model: DistributedDataParallel | RigorModel, rate: float) -> None:
    """Step of the expert bias at each `finish` (DeepSeek-V3: 0.001); 0 freezes it."""
    model.config.moe_router_bias_update_rate = rate


def set_aux_loss(model: DistributedDataParallel | RigorModel, coefficient: float) -> None:
    """Coefficient of the sequence-wise balance loss (DeepSeek-V3: 0.0001); 0 turns it off."""
    model.config.moe_aux_loss_coeff = coefficient


def router_load(model: DistributedDataParallel | RigorModel) -> Tensor:
    """Tokens each expert got since the last call, [L (+1 with MTP), E] int64, summed over data-parallel ranks.

    Layers of all pipeline stages, in order. A collective: call it on all ranks. Empty for a dense model.
    """
    config: ModelConfig = model.module.rigor if isinstance(model, DistributedDataParallel) else model.rigor
    experts = config.moe.experts if config.moe else 0
    load_LE = torch.zeros(config.moe_layers + config.mtp_layers * bool(experts), experts, dtype=torch.int64)
    for router in routers_of(model):
        # Layers count from 1, the dense ones first; the MTP module's comes after the last.
        load_LE[router.layer_number - 1 - (config.layers - config.moe_layers)] = router.taken_E
        router.taken_E.zero_()
    if dist.is_initialized():
        # Each token is routed on one rank alone: tensor ranks split the rows (sequence parallelism).
        load_LE = load_LE.to(next(model.parameters()).device)
        dist.all_reduce(load_LE)
    return load_LE
