//! What is shown of the asset system.

use crate::assets::AssetReport;
use serde::{Deserialize, Serialize};

/// Where the network and the asset system do not agree.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AssetsView {
    /// As it was found.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub report: AssetReport,
}
