//! What is shown of who is told, and who tells.

use crate::signals::{DeliveryReport, SourceReport};
use serde::{Deserialize, Serialize};

/// Those who are told what becomes of devices, and those whose word of them counts.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalsView {
    /// How far each receiver has been told.
    #[schema(value_type = Vec<Object>)]
    pub receivers: Vec<DeliveryReport>,
    /// What came of each source.
    #[schema(value_type = Vec<Object>)]
    pub sources: Vec<SourceReport>,
}
