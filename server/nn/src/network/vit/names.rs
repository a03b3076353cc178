//! How authors name the tensors of vision transformers.

use crate::checkpoint::Layout;
use crate::checkpoint::weights::Weights;

/// The names of one layout.
pub struct Names {
    pub class: &'static str,
    pub positions: &'static str,
    pub patch: &'static str,
    /// The normalisation before the blocks.
    pub before: &'static str,
    /// The one behind them.
    pub norm: &'static str,
    /// What precedes and follows a block's number.
    block: &'static str,
    /// Within a block: the two normalisations.
    pub norms: [&'static str; 2],
    /// Query, key and value, in one product or three.
    pub qkv: &'static [&'static str],
    /// The product behind the attention.
    pub attended: &'static str,
    /// The perceptron's products.
    pub mlp: [&'static str; 2],
    /// LayerScale.
    pub scales: [&'static str; 2],
}

/// timm's, which are those of DINO's and DINOv2's authors.
pub const TIMM: Names = Names {
    class: "cls_token",
    positions: "pos_embed",
    patch: "patch_embed.proj",
    before: "norm_pre",
    norm: "norm",
    block: "blocks",
    norms: ["norm1", "norm2"],
    qkv: &["attn.qkv"],
    attended: "attn.proj",
    mlp: ["mlp.fc1", "mlp.fc2"],
    scales: ["ls1.gamma", "ls2.gamma"],
};

/// Of Hugging Face's ViT.
const HUGGING_FACE: Names = Names {
    class: "embeddings.cls_token",
    positions: "embeddings.position_embeddings",
    patch: "embeddings.patch_embeddings.projection",
    before: "none",
    norm: "layernorm",
    block: "encoder.layer",
    norms: ["layernorm_before", "layernorm_after"],
    qkv: &["attention.attention.query", "attention.attention.key", "attention.attention.value"],
    attended: "attention.output.dense",
    mlp: ["intermediate.dense", "output.dense"],
    scales: ["layer_scale1.lambda1", "layer_scale2.lambda1"],
};

/// Of Hugging Face's DINOv2.
const DINOV2: Names = Names { norms: ["norm1", "norm2"], mlp: ["mlp.fc1", "mlp.fc2"], ..HUGGING_FACE };

/// Of Hugging Face's CLIP and SigLIP.
const TOWER: Names = Names {
    class: "vision_model.embeddings.class_embedding",
    positions: "vision_model.embeddings.position_embedding.weight",
    patch: "vision_model.embeddings.patch_embedding",
    before: "vision_model.pre_layrnorm",
    norm: "vision_model.post_layernorm",
    block: "vision_model.encoder.layers",
    norms: ["layer_norm1", "layer_norm2"],
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    attended: "self_attn.out_proj",
    mlp: ["mlp.fc1", "mlp.fc2"],
    scales: ["none", "none"],
};

/// What lies beside them in files: masks of pre-training, pooling of sentences' models, text towers.
pub const LAYOUTS: [Layout; 3] = [
    Layout {
        first: "cls_token",
        inside: "blocks.0.",
        beside: &["mask_token", "head.", "fc_norm."],
        classifier: Some(["head.weight", "head.bias"]),
    },
    Layout {
        first: "embeddings.cls_token",
        inside: "encoder.layer.0.",
        beside: &["embeddings.mask_token", "pooler."],
        classifier: None,
    },
    Layout {
        first: "vision_model.embeddings.position_embedding.weight",
        inside: "vision_model.encoder.layers.0.",
        beside: &[
            "text_model.",
            "visual_projection.",
            "text_projection.",
            "logit_scale",
            "logit_bias",
            "vision_model.embeddings.position_ids",
        ],
        classifier: None,
    },
];

/// More blocks than any network has.
const MOST: usize = 1000;

impl Names {
    /// Those that a checkpoint has.
    pub fn of(weights: &Weights) -> Option<&'static Self> {
        const ALL: [&Names; 4] = [&TIMM, &HUGGING_FACE, &DINOV2, &TOWER];
        let has = |names: &&&Names| {
            weights.has(names.positions) && weights.has(&format!("{}.weight", names.in_block(0, names.norms[0])))
        };
        ALL.iter().find(has).copied()
    }

    /// A tensor or layer of a block.
    pub fn in_block(&self, block: usize, part: &str) -> String {
        format!("{}.{block}.{part}", self.block)
    }

    /// The block of a tensor, if it is in one.
    pub fn block_of(&self, tensor: &str) -> Option<usize> {
        tensor.strip_prefix(self.block)?.strip_prefix('.')?.split('.').next()?.parse().ok()
    }

    /// How many blocks a checkpoint has.
    pub fn depth(&self, weights: &Weights) -> usize {
        let has = |block: &usize| weights.has(&format!("{}.weight", self.in_block(*block, self.norms[0])));
        (0..MOST).take_while(has).count()
    }

    /// The first LayerScale of a block.
    pub fn scale_of(&self, block: usize) -> String {
        self.in_block(block, self.scales[0])
    }
}
