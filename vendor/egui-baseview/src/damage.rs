//! UNBRAID: new file. What of a window differs from what was drawn last, so that nothing else is drawn again.

use egui::epaint::{ClippedShape, TextShape};
use egui::{Pos2, Rect, Shape, TextureId, TexturesDelta};

/// More rectangles than this are one.
const MAX_NUM_RECTS: usize = 16;
/// Edges are smoothed, and text lies between pixels, in pixels.
const MARGIN: f32 = 2.0;

/// What has to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Damage {
    /// Rectangles that do not overlap, in pixels, with whole coordinates. Empty: nothing has changed.
    Rects(Vec<Rect>),
    /// The whole window.
    Everything,
}

/// What was drawn last.
#[derive(Default)]
pub struct LastFrame {
    shapes: Vec<ClippedShape>,
    /// Width, height, pixels per point.
    format: Option<([u32; 2], f32)>,
    is_lost: bool,
}

impl LastFrame {
    /// What was drawn is not in the window any more.
    pub fn forget(&mut self) {
        self.is_lost = true;
    }

    /// What differs from the frame before; these shapes are that frame from now on.
    pub fn damage(
        &mut self,
        shapes: &[ClippedShape],
        textures: &TexturesDelta,
        size: [u32; 2],
        pixels_per_point: f32,
    ) -> Damage {
        let format = Some((size, pixels_per_point));
        let is_new = self.format != format || std::mem::take(&mut self.is_lost);
        // A whole new texture of glyphs: all of them may have moved. Glyphs that are only added are in no old shape.
        let has_new_glyphs = textures
            .set
            .get(&TextureId::default())
            .is_some_and(|deltas| deltas.iter().any(|delta| delta.pos.is_none()));
        let damage = if is_new || has_new_glyphs {
            Damage::Everything
        } else {
            self.compare(shapes, textures, size, pixels_per_point)
        };
        self.format = format;
        self.shapes.clear();
        self.shapes.extend_from_slice(shapes);
        damage
    }

    fn compare(
        &self,
        shapes: &[ClippedShape],
        textures: &TexturesDelta,
        [width, height]: [u32; 2],
        pixels_per_point: f32,
    ) -> Damage {
        let window = Rect::from_min_max(Pos2::ZERO, Pos2::new(width as f32, height as f32));
        let mut rects = Vec::new();
        let mut add = |shape: &ClippedShape| {
            let rect = pixels_of(shape, pixels_per_point).intersect(window);
            if rect.is_positive() {
                add_rect(&mut rects, rect);
            }
        };
        let (old, new) = (&self.shapes[..], shapes);
        let is_same = |(old, new): &(&ClippedShape, &ClippedShape)| is_same(old, new);
        if old.len() == new.len() {
            for (old, new) in old.iter().zip(new).filter(|pair| !is_same(pair)) {
                add(old);
                add(new);
            }
        } else {
            let num_first = old.iter().zip(new).take_while(is_same).count();
            let (old, new) = (&old[num_first..], &new[num_first..]);
            let num_last = old.iter().rev().zip(new.iter().rev()).take_while(is_same).count();
            old[..old.len() - num_last].iter().chain(&new[..new.len() - num_last]).for_each(&mut add);
        }
        let has_changed = |texture: TextureId| {
            texture != TextureId::default() && textures.set.contains_key(&texture)
        };
        new_textures(shapes, has_changed).for_each(add);
        Damage::Rects(rects)
    }
}

fn new_textures(
    shapes: &[ClippedShape],
    has_changed: impl Fn(TextureId) -> bool,
) -> impl Iterator<Item = &ClippedShape> {
    shapes.iter().filter(move |shape| has_changed(shape.shape.texture_id()))
}

/// Whether both look the same, while their textures do.
fn is_same(old: &ClippedShape, new: &ClippedShape) -> bool {
    if old.clip_rect != new.clip_rect
        || old.transform_after_tessellation != new.transform_after_tessellation
    {
        return false;
    }
    match (&old.shape, &new.shape) {
        // Laid out once, and then kept: rarely anything has to be compared glyph by glyph.
        (Shape::Text(old), Shape::Text(new)) if std::sync::Arc::ptr_eq(&old.galley, &new.galley) => {
            let rest = |text: &TextShape| {
                (
                    text.pos,
                    text.underline,
                    text.fallback_color,
                    text.override_text_color,
                    text.opacity_factor,
                    text.angle,
                )
            };
            rest(old) == rest(new)
        }
        // What it draws is nobody's business.
        (Shape::Callback(_), _) => false,
        (old, new) => old == new,
    }
}

/// Where a shape is, in whole pixels.
pub fn pixels_of(shape: &ClippedShape, pixels_per_point: f32) -> Rect {
    let rect = shape.shape.visual_bounding_rect();
    let rect = shape.transform_after_tessellation * rect;
    let rect = rect.intersect(shape.clip_rect);
    if !rect.is_positive() {
        return Rect::NOTHING;
    }
    // Meshes are drawn as they are.
    let margin = egui::Vec2::splat(if matches!(shape.shape, Shape::Mesh(_)) { 0.0 } else { MARGIN });
    Rect::from_min_max(
        (rect.min.to_vec2() * pixels_per_point - margin).floor().to_pos2(),
        (rect.max.to_vec2() * pixels_per_point + margin).ceil().to_pos2(),
    )
}

/// Joins a rectangle with those that it overlaps, and with those beside it where that costs little.
fn add_rect(rects: &mut Vec<Rect>, mut rect: Rect) {
    while let Some(idx) = rects.iter().position(|other| {
        let union = other.union(rect);
        other.intersects(rect) || union.area() < 1.2 * (other.area() + rect.area())
    }) {
        rect = rect.union(rects.swap_remove(idx));
    }
    rects.push(rect);
    if rects.len() > MAX_NUM_RECTS {
        let all = rects.iter().fold(Rect::NOTHING, |all, rect| all.union(*rect));
        *rects = vec![all];
    }
}

/// Whether nothing that was drawn before in `rect`, in pixels, is seen behind this shape.
fn hides(shape: &ClippedShape, rect: Rect, pixels_per_point: f32) -> bool {
    let Shape::Rect(filled) = &shape.shape else { return false };
    filled.fill.is_opaque()
        && filled.corner_radius == egui::CornerRadius::ZERO
        && filled.blur_width == 0.0
        && filled.brush.is_none()
        && filled.angle == 0.0
        && shape.transform_after_tessellation == Default::default()
        && (filled.rect * pixels_per_point).shrink(1.0).contains_rect(rect)
        && (shape.clip_rect * pixels_per_point).contains_rect(rect)
}

/// What has to be drawn within `rects`, in pixels, and which of these have to be cleared before.
pub fn within(
    shapes: &[ClippedShape],
    rects: &[Rect],
    pixels_per_point: f32,
) -> (Vec<ClippedShape>, Vec<Rect>) {
    let pixels: Vec<Rect> =
        shapes.iter().map(|shape| pixels_of(shape, pixels_per_point)).collect();
    let (mut within, mut uncovered) = (Vec::new(), Vec::new());
    for &rect in rects {
        let ground = shapes.iter().rposition(|shape| hides(shape, rect, pixels_per_point));
        if ground.is_none() {
            uncovered.push(rect);
        }
        let clip = rect / pixels_per_point;
        let seen = shapes.iter().zip(&pixels).skip(ground.unwrap_or(0));
        for (shape, _) in seen.filter(|(_, pixels)| pixels.intersects(rect)) {
            within.push(ClippedShape { clip_rect: shape.clip_rect.intersect(clip), ..shape.clone() });
        }
    }
    (within, uncovered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{Color32, pos2, vec2};

    fn square(x: f32, y: f32, color: Color32) -> ClippedShape {
        let rect = Rect::from_min_size(pos2(x, y), vec2(10.0, 10.0));
        let shape = Shape::rect_filled(rect, 0.0, color);
        ClippedShape {
            clip_rect: Rect::from_min_size(Pos2::ZERO, vec2(1000.0, 1000.0)),
            shape,
            transform_after_tessellation: Default::default(),
        }
    }

    fn damage(last: &mut LastFrame, shapes: &[ClippedShape]) -> Damage {
        last.damage(shapes, &TexturesDelta::default(), [1000, 1000], 1.0)
    }

    fn rects(rects: &[[f32; 4]]) -> Damage {
        let rect = |[x0, y0, x1, y1]: &[f32; 4]| Rect::from_min_max(pos2(*x0, *y0), pos2(*x1, *y1));
        Damage::Rects(rects.iter().map(rect).collect())
    }

    #[test]
    fn only_what_differs_is_damaged() {
        let mut last = LastFrame::default();
        let mut shapes: Vec<_> =
            (0..5).map(|idx| square(100.0 * idx as f32, 50.0, Color32::RED)).collect();
        assert_eq!(damage(&mut last, &shapes), Damage::Everything);
        assert_eq!(damage(&mut last, &shapes), rects(&[]));
        shapes[2] = square(200.0, 50.0, Color32::BLUE);
        assert_eq!(damage(&mut last, &shapes), rects(&[[198.0, 48.0, 212.0, 62.0]]));
        // It moves: where it was, and where it is.
        shapes[2] = square(260.0, 50.0, Color32::BLUE);
        let moved = rects(&[[198.0, 48.0, 212.0, 62.0], [258.0, 48.0, 272.0, 62.0]]);
        assert_eq!(damage(&mut last, &shapes), moved);
        // It goes and comes.
        let gone = shapes.remove(2);
        assert_eq!(damage(&mut last, &shapes), rects(&[[258.0, 48.0, 272.0, 62.0]]));
        shapes.insert(2, gone);
        assert_eq!(damage(&mut last, &shapes), rects(&[[258.0, 48.0, 272.0, 62.0]]));
        last.forget();
        assert_eq!(damage(&mut last, &shapes), Damage::Everything);
        assert_eq!(last.damage(&shapes, &TexturesDelta::default(), [1000, 1000], 2.0), Damage::Everything);
    }

    #[test]
    fn rects_never_overlap_and_are_few() {
        let mut rects = Vec::new();
        for idx in 0..200 {
            let (x, y) = ((idx * 37 % 101) as f32 * 9.0, (idx * 53 % 97) as f32 * 9.0);
            add_rect(&mut rects, Rect::from_min_size(pos2(x, y), vec2(5.0, 5.0)));
            assert!(rects.len() <= MAX_NUM_RECTS);
            for (idx, rect) in rects.iter().enumerate() {
                assert!(rects[..idx].iter().all(|other| !other.intersect(*rect).is_positive()));
            }
        }
    }

    #[test]
    fn what_lies_elsewhere_is_not_drawn() {
        let shapes = [square(0.0, 0.0, Color32::RED), square(100.0, 0.0, Color32::RED)];
        let rect = Rect::from_min_max(pos2(95.0, 0.0), pos2(105.0, 20.0));
        let (drawn, uncovered) = within(&shapes, &[rect], 1.0);
        assert_eq!((drawn.len(), uncovered), (1, vec![rect]));
        assert_eq!(drawn[0].clip_rect, rect);
        assert_eq!(drawn[0].shape, shapes[1].shape);
    }

    #[test]
    fn what_lies_behind_is_not_drawn() {
        let ground = |color| {
            let rect = Rect::from_min_size(Pos2::ZERO, vec2(500.0, 500.0));
            ClippedShape { shape: Shape::rect_filled(rect, 0.0, color), ..square(0.0, 0.0, color) }
        };
        let rect = Rect::from_min_max(pos2(5.0, 5.0), pos2(15.0, 15.0));
        let red = square(0.0, 0.0, Color32::RED);
        let opaque = [red.clone(), ground(Color32::BLUE), red.clone()];
        let (drawn, uncovered) = within(&opaque, &[rect], 1.0);
        assert_eq!((drawn.len(), uncovered), (2, vec![]));
        let clear = [red.clone(), ground(Color32::BLUE.gamma_multiply(0.5)), red];
        let (drawn, uncovered) = within(&clear, &[rect], 1.0);
        assert_eq!((drawn.len(), uncovered), (3, vec![rect]));
    }
}
