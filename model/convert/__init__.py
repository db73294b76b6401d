"""Export to and import from Hugging Face folders: names, config.json, safetensors, model card."""

from model.convert.card import Card
from model.convert.folder import load_folder, load_shape, save_folder
from model.convert.hf_config import config_from_hf, hf_config
from model.convert.megatron import from_hf, to_hf
from model.convert.scorer import scorer_shape, scorer_state

__all__ = [
    "Card",
    "config_from_hf",
    "from_hf",
    "hf_config",
    "load_folder",
    "load_shape",
    "save_folder",
    "scorer_shape",
    "scorer_state",
    "to_hf",
]
